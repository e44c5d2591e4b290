/* The binary interface between PeerStream and a plug-in in a dynamic library, for C and for all that can speak like C.
 *
 * A library exports one function, peerstream_plugin_v0, which gives a table. Memory never changes hands: what comes in is lent for
 * the call, what goes out is written into a sink of the host. Deciders (kinds "strategy" and "ladder") answer batches of fixed
 * records; doers (telemetry, archive, compliance, admission) answer requests of JSON. Loaded code has all the rights of its host.
 *
 * The same in Rust, with everything explained: framework/abi. A test compares sizes, offsets and numbers.
 */
#ifndef PEERSTREAM_PLUGIN_H
#define PEERSTREAM_PLUGIN_H

#include <stddef.h>
#include <stdint.h>

#define PS_ABI_MAJOR 0u /* its own number; 0 promises nothing: the minor must be equal too */
#define PS_ABI_MINOR 1u

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ps_bytes { const uint8_t *ptr; size_t len; } ps_bytes;                                      /* lent for the call */
typedef struct ps_out { void *ctx; void (*write)(void *ctx, const uint8_t *bytes, size_t len); } ps_out;   /* the host copies */

/* What a call gives back. On a failure, what was written is {"message": "...", "retry_after_ms": 1000}. */
typedef int32_t ps_status;
enum {
  PS_OK = 0,
  PS_PENDING = 1, /* of submit: the answer comes by ps_host.complete, exactly once */
  PS_INVALID = -1,
  PS_UNSUPPORTED = -2,
  PS_NOT_FOUND = -3,
  PS_CONFLICT = -4,
  PS_DENIED = -5,
  PS_RATE_LIMITED = -6,
  PS_UNAVAILABLE = -7,
  PS_TIMEOUT = -8,
  PS_INTERNAL = -9,
  PS_PANICKED = -100
};

/* Events. JOINED, CHANGED, MEMBER: v[0] is the capacity, time_us when it joined, b the network or 0, flags. REJECTED: index is the group of the last
 * plan. LINK_FAILED: node could not reach a. ROUND_TRIP: between node and a, v[0] milliseconds. PARENT: a feeds node the stripes v[0].
 * BACKUP: a backs up node. STANDBY: node has standby links to a and b. OVERLOAD: v = members, struggling, without a place. */
enum {
  PS_TICK = 1, PS_JOINED = 2, PS_LEFT = 3, PS_CHANGED = 4, PS_LINK_FAILED = 5, PS_UNDERPERFORMS = 6, PS_REJECTED = 7, PS_ROUND_TRIP = 8,
  PS_MEMBER = 16, PS_PARENT = 17, PS_BACKUP = 18, PS_STANDBY = 19, /* with PS_ATTACH: the overlay as it is */
  PS_OVERLOAD = 32, PS_LEAF = 33                                   /* with PS_DECIDE */
};
enum { PS_RELAY = 1, PS_UNTRIED = 2, PS_GONE = 4 }; /* flags of a member; GONE: it has left again */

typedef struct ps_event {
  uint16_t kind, flags;
  uint32_t index;
  uint64_t node, a, b, time_us;
  uint32_t v[4];
  uint64_t reserved;
} ps_event;

/* Operations. SET_PARENT: target feeds node the stripes in value: bit i for the segments whose number
 * modulo PS_STRIPES is i. SET_BACKUP: target feeds node when its parent
 * fails. SET_STANDBY: node keeps open, unused links to target and second. RUNG (ladder): value 0 stay, 1 lower, 2 out. */
enum { PS_SET_PARENT = 1, PS_SET_BACKUP = 2, PS_SET_STANDBY = 3, PS_DETACH = 4, PS_RUNG = 16 };
#define PS_NOBODY UINT64_MAX
#define PS_STRIPES 2
#define PS_STRIPES_ALL ((1u << PS_STRIPES) - 1) /* the whole stream */
#define PS_SOURCE UINT64_C(0) /* the source's number; see also ps_batch.source */

typedef struct ps_op {
  uint16_t code, flags;
  uint32_t group; /* committed together or not at all; from 0 in order */
  uint64_t node, target, second;
  uint32_t value, reserved[3];
} ps_op;

typedef struct ps_batch {
  uint32_t size, op;
  uint64_t now_us, source;
  uint32_t stride, count;
  const void *records;
  uint32_t ops_max, reserved;
} ps_batch;

/* Methods. */
enum {
  PS_ATTACH = 1, PS_EVENTS = 2, PS_DECIDE = 3,                                        /* batch */
  PS_WAITING = 16, PS_PLACE = 17, PS_EXPLAIN = 18, PS_DIGEST = 19, PS_TRAITS = 20, PS_HEALTH = 21, PS_MOVED = 22, /* call */
  PS_PROBE = 32, PS_START = 33, PS_RELOAD = 34, PS_STOP = 35,                         /* submit, from here on */
  PS_WRITE = 48, PS_FLUSH = 49,
  PS_ARCHIVE_OPEN = 64, PS_ARCHIVE_PUT = 65, PS_ARCHIVE_FINALIZE = 66, PS_ARCHIVE_READ = 67, PS_ARCHIVE_LIST = 68, PS_ARCHIVE_RESTRICT = 69,
  PS_ARCHIVE_INDEX = 70, PS_ARCHIVE_INIT = 71, PS_ARCHIVE_HEADER = 72,
  PS_ASSESS = 80,
  PS_ADMIT = 96
};

typedef struct ps_host { /* valid until destroy has returned (log: until the process ends); from any thread */
  uint32_t size, abi_minor;
  void *ctx;
  void (*log)(void *ctx, uint32_t level, ps_bytes target, ps_bytes message); /* 1 error, 2 warn, 3 info, 4 debug, 5 trace */
  void (*complete)(void *ctx, uint64_t request, ps_status status, ps_bytes json, ps_bytes payload);
} ps_host;

typedef struct ps_plugin_api {
  uint8_t magic[8]; /* "PSPLUGIN" */
  uint32_t abi_major, abi_minor, size, flags;
  ps_status (*describe)(ps_out manifest);                             /* {"plugins": [{"kind", "name", "version", "summary", "schema"}]} */
  ps_status (*check)(uint32_t index, ps_bytes options, ps_out found); /* [{"path", "message"}] */
  ps_status (*create)(uint32_t index, const ps_host *host, ps_bytes options, ps_bytes name, void **instance, ps_out failure);
  ps_status (*call)(void *instance, uint32_t op, ps_bytes json, ps_out answer);
  ps_status (*batch)(void *instance, const ps_batch *batch, ps_out ops); /* deciders; else null */
  ps_status (*submit)(void *instance, uint64_t request, uint32_t op, ps_bytes json, ps_bytes payload, ps_out answer); /* doers */
  void (*cancel)(void *instance, uint64_t request);                                                                  /* doers */
  void (*destroy)(void *instance);
} ps_plugin_api;

/* The one exported function. It must not allocate, start threads or call the host. */
#if defined(_WIN32)
__declspec(dllexport)
#else
__attribute__((visibility("default")))
#endif
const ps_plugin_api *peerstream_plugin_v0(void);

#ifdef __cplusplus
}
#endif
#endif
