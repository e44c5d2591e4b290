/* A strategy that puts everybody below the source, broken in one way or another as FAULT says. */
#include "peerstream_plugin.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef FAULT_NONE
#define FAULT_NONE 0
#endif

static void put(ps_out out, const char *text) { out.write(out.ctx, (const uint8_t *)text, strlen(text)); }

static ps_status describe(ps_out out) {
#ifdef FAULT_ABORT_IN_DESCRIBE
  abort();
#elif defined FAULT_CRASH_IN_DESCRIBE
  *(volatile int *)8 = 1;
#elif defined FAULT_HANG_IN_DESCRIBE
  for (;;) sleep(1);
#elif defined FAULT_GARBAGE_MANIFEST
  put(out, "{\"plugins\": 7");
  return PS_OK;
#elif defined FAULT_FAILING_DESCRIBE
  put(out, "{\"message\": \"no licence\"}");
  return PS_DENIED;
#elif defined FAULT_UNKNOWN_KIND
  put(out, "{\"plugins\":[{\"kind\":\"wizard\",\"name\":\"star\",\"version\":\"1\"}]}");
  return PS_OK;
#elif defined FAULT_LINKED_ONLY_KIND
  put(out, "{\"plugins\":[{\"kind\":\"transport\",\"name\":\"star\",\"version\":\"1\"}]}");
  return PS_OK;
#elif defined FAULT_BAD_NAME
  put(out, "{\"plugins\":[{\"kind\":\"strategy\",\"name\":\"Star Two\",\"version\":\"1\"}]}");
  return PS_OK;
#endif
#ifdef DOER
  put(out, "{\"plugins\":[{\"kind\":\"telemetry\",\"name\":\"void\",\"version\":\"1\"}]}");
#else
  put(out, "{\"plugins\":[{\"kind\":\"strategy\",\"name\":\"star\",\"version\":\"1\"}]}");
#endif
  return PS_OK;
}

static ps_status check(uint32_t index, ps_bytes options, ps_out out) {
  (void)index, (void)options, (void)out;
  return PS_OK;
}

static ps_host host;

static ps_status create(uint32_t index, const ps_host *given, ps_bytes options, ps_bytes name, void **instance, ps_out out) {
  (void)index, (void)options, (void)name, (void)out;
#ifdef FAULT_FAILING_CREATE
  put(out, "{\"message\": \"the moon is wrong\"}");
  return PS_UNAVAILABLE;
#elif defined FAULT_NULL_INSTANCE
  return PS_OK;
#endif
  host = *given;
  static int one;
  *instance = &one;
  return PS_OK;
}

static ps_status call(void *instance, uint32_t op, ps_bytes json, ps_out out) {
  (void)instance, (void)json;
  if (op == PS_TRAITS) {
    put(out, "{}");
    return PS_OK;
  }
  put(out, "{\"message\": \"not here\"}");
  return PS_UNSUPPORTED;
}

static ps_status batch(void *instance, const ps_batch *given, ps_out out) {
  (void)instance;
#ifdef FAULT_HANG
  for (;;) sleep(1);
#elif defined FAULT_SLOW
  usleep(150 * 1000);
#elif defined FAULT_FAILING_BATCH
  put(out, "{\"message\": \"out of ideas\"}");
  return PS_INTERNAL;
#elif defined FAULT_ODD_STATUS
  return 7;
#elif defined FAULT_TORN_RECORDS
  put(out, "seventeen bytes..");
  return PS_OK;
#endif
  const ps_event *events = given->records;
  for (uint32_t i = 0; i < given->count; i++) {
    if (events[i].kind != PS_JOINED) continue;
    ps_op op = {.code = PS_SET_PARENT, .node = events[i].node, .target = given->source, .second = PS_NOBODY, .value = PS_STRIPES_ALL};
#ifdef FAULT_UNKNOWN_CODE
    op.code = 99;
#elif defined FAULT_WILD_GROUP
    op.group = 4000000000u;
#elif defined FAULT_CYCLE
    op.target = events[i].node;
#elif defined FAULT_UNKNOWN_NODE
    op.target = 123456789;
#elif defined FAULT_WIDE_STRIPES
    op.value = 0x10001;
#endif
    out.write(out.ctx, (const uint8_t *)&op, sizeof op);
#ifdef FAULT_TOO_MUCH
    for (long n = 0; n < 2000000; n++) out.write(out.ctx, (const uint8_t *)&op, sizeof op);
#endif
  }
  return PS_OK;
}

static ps_bytes bytes(const char *text) {
  ps_bytes it = {(const uint8_t *)text, strlen(text)};
  return it;
}

static ps_status submit(void *instance, uint64_t request, uint32_t op, ps_bytes json, ps_bytes payload, ps_out out) {
  (void)instance, (void)json, (void)payload, (void)out;
  if (op != PS_WRITE) return PS_OK;
#ifdef FAULT_DOUBLE_COMPLETION
  host.complete(host.ctx, request, PS_OK, bytes("{\"accepted\":1}"), bytes(""));
  host.complete(host.ctx, request, PS_OK, bytes("{\"accepted\":2}"), bytes(""));
  return PS_PENDING;
#elif defined FAULT_NEVER_COMPLETES
  return PS_PENDING;
#elif defined FAULT_WRONG_REQUEST
  host.complete(host.ctx, request + 1000, PS_OK, bytes("{}"), bytes(""));
  return PS_PENDING;
#elif defined FAULT_GARBAGE_ANSWER
  put(out, "{\"accepted\": \"lots\"}");
  return PS_OK;
#elif defined FAULT_RATE_LIMITED
  put(out, "{\"message\": \"slow down\", \"retry_after_ms\": 1500}");
  return PS_RATE_LIMITED;
#endif
  put(out, "{\"accepted\":1}");
  return PS_OK;
}

static void cancel(void *instance, uint64_t request) { (void)instance, (void)request; }
static void destroy(void *instance) { (void)instance; }

static const ps_plugin_api API = {
#ifdef FAULT_WRONG_MAGIC
    .magic = "PHPLUGIN",
#else
    .magic = {'P', 'S', 'P', 'L', 'U', 'G', 'I', 'N'},
#endif
#ifdef FAULT_WRONG_MAJOR
    .abi_major = 2,
#else
    .abi_major = PS_ABI_MAJOR,
#endif
    .abi_minor = PS_ABI_MINOR,
#ifdef FAULT_SHORT_TABLE
    .size = 24,
#else
    .size = sizeof(ps_plugin_api),
#endif
    .describe = describe,
#ifndef FAULT_NULL_FUNCTION
    .check = check,
#endif
    .create = create,
    .call = call,
#ifndef FAULT_NULL_BATCH
    .batch = batch,
#endif
    .submit = submit,
    .cancel = cancel,
    .destroy = destroy,
};

#ifdef FAULT_CONSTRUCTOR
__attribute__((constructor)) static void begin(void) { abort(); }
#endif

#ifndef FAULT_NO_SYMBOL
const ps_plugin_api *peerstream_plugin_v0(void) {
#ifdef FAULT_NULL_TABLE
  return NULL;
#endif
  return &API;
}
#endif
