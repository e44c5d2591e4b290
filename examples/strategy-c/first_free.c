/* A tree strategy in C: whoever has no parent goes below the oldest node that has room.
 *
 *     cc -O2 -shared -fPIC -I plugin-sdk/include examples/strategy-c/first_free.c -o libfirst_free.so
 *
 * It keeps its own table of members, for a plug-in in C is told of events and nothing else. docs/plugins.md says how to load it. */
#include "peerstream_plugin.h"

#include <stdlib.h>
#include <string.h>

typedef struct member {
  uint64_t node, parent; /* parent: PS_NOBODY for none */
  uint32_t room, children;
} member;

typedef struct strategy {
  member *members; /* in the order in which they came; the source first */
  size_t len, capacity;
  uint64_t *planned; /* whom each group of the last plan was about */
  size_t planned_len, planned_capacity;
} strategy;

static void put(ps_out out, const char *text) { out.write(out.ctx, (const uint8_t *)text, strlen(text)); }

static member *find(strategy *it, uint64_t node) {
  for (size_t i = 0; i < it->len; i++)
    if (it->members[i].node == node) return &it->members[i];
  return NULL;
}

static uint32_t room_of(const ps_event *event) { return event->flags & PS_RELAY ? event->v[0] : 0; }

static int add(strategy *it, uint64_t node, uint32_t room) {
  if (it->len == it->capacity) {
    size_t capacity = it->capacity ? it->capacity * 2 : 64;
    member *grown = realloc(it->members, capacity * sizeof *grown);
    if (!grown) return 0;
    it->members = grown, it->capacity = capacity;
  }
  it->members[it->len++] = (member){.node = node, .parent = PS_NOBODY, .room = room};
  return 1;
}

static void unparent(strategy *it, member *child) {
  member *parent = child->parent == PS_NOBODY ? NULL : find(it, child->parent);
  if (parent && parent->children) parent->children--;
  child->parent = PS_NOBODY;
}

static void drop(strategy *it, uint64_t node) {
  member *gone = find(it, node);
  if (!gone) return;
  unparent(it, gone);
  for (size_t i = 0; i < it->len; i++)
    if (it->members[i].parent == node) it->members[i].parent = PS_NOBODY;
  size_t at = (size_t)(gone - it->members);
  memmove(gone, gone + 1, (it->len - at - 1) * sizeof *gone);
  it->len--;
}

/* Whether the stream reaches the node; a member below an orphan must not feed that orphan. */
static int reached(strategy *it, const member *at) {
  for (size_t steps = 0; at && steps <= it->len; steps++) {
    if (at->node == PS_SOURCE) return 1;
    at = at->parent == PS_NOBODY ? NULL : find(it, at->parent);
  }
  return 0;
}

static int plan_parent(strategy *it, member *child, member *parent, ps_out out) {
  if (it->planned_len == it->planned_capacity) {
    size_t capacity = it->planned_capacity ? it->planned_capacity * 2 : 64;
    uint64_t *grown = realloc(it->planned, capacity * sizeof *grown);
    if (!grown) return 0;
    it->planned = grown, it->planned_capacity = capacity;
  }
  ps_op op = {.code = PS_SET_PARENT, .group = (uint32_t)it->planned_len, .node = child->node, .target = parent->node, .second = PS_NOBODY, .value = PS_STRIPES_ALL};
  out.write(out.ctx, (const uint8_t *)&op, sizeof op);
  it->planned[it->planned_len++] = child->node;
  child->parent = parent->node, parent->children++;
  return 1;
}

/* Those that can feed others first, then the others. */
static int place(strategy *it, int relays, ps_out out) {
  for (size_t i = 1; i < it->len; i++) {
    member *child = &it->members[i];
    if (child->parent != PS_NOBODY || (child->room > 0) != relays) continue;
    for (size_t j = 0; j < it->len; j++) {
      member *parent = &it->members[j];
      if (parent->children >= parent->room || !reached(it, parent)) continue;
      if (!plan_parent(it, child, parent, out)) return 0;
      break;
    }
  }
  return 1;
}

static int tell(strategy *it, const ps_event *event) {
  member *known = find(it, event->node);
  switch (event->kind) {
    case PS_JOINED:
    case PS_MEMBER:
      if (known) known->room = room_of(event); /* the source, or told twice */
      else if (!(event->flags & PS_GONE)) return add(it, event->node, room_of(event));
      return 1;
    case PS_CHANGED:
      if (known && !(event->flags & PS_GONE)) known->room = room_of(event);
      return 1;
    case PS_LEFT:
      if (event->node != PS_SOURCE) drop(it, event->node);
      return 1;
    case PS_PARENT: {
      member *parent = find(it, event->a);
      if (known && parent) known->parent = parent->node, parent->children++;
      return 1;
    }
    case PS_REJECTED: /* what was planned did not happen; it is planned anew below */
      if (event->index < it->planned_len) {
        member *child = find(it, it->planned[event->index]);
        if (child) unparent(it, child);
      }
      return 1;
    default:
      return 1;
  }
}

static ps_status batch(void *instance, const ps_batch *given, ps_out out) {
  strategy *it = instance;
  const ps_event *events = given->records;
  if (given->op == PS_ATTACH) it->len = 0, it->planned_len = 0;
  if (it->len == 0 && !add(it, given->source, 0)) return PS_UNAVAILABLE;
  for (uint32_t i = 0; i < given->count; i++)
    if (!tell(it, &events[i])) return PS_UNAVAILABLE;
  it->planned_len = 0;
  return place(it, 1, out) && place(it, 0, out) ? PS_OK : PS_UNAVAILABLE;
}

static ps_status describe(ps_out out) {
  put(out,
      "{\"built_with\": \"C\", \"plugins\": [{\"kind\": \"strategy\", \"name\": \"first-free-c\", \"version\": \"0.1.0\","
      "\"summary\": \"below the oldest node that has room, in C\"}]}");
  return PS_OK;
}

static ps_status check(uint32_t index, ps_bytes options, ps_out out) {
  (void)index;
  if (options.len > 2) put(out, "[{\"path\": \"\", \"message\": \"first-free-c has no options\"}]");
  return PS_OK;
}

static ps_status create(uint32_t index, const ps_host *host, ps_bytes options, ps_bytes name, void **instance, ps_out failure) {
  (void)index, (void)host, (void)options, (void)name, (void)failure;
  *instance = calloc(1, sizeof(strategy));
  return *instance ? PS_OK : PS_UNAVAILABLE;
}

static ps_status call(void *instance, uint32_t op, ps_bytes json, ps_out answer) {
  (void)instance, (void)op, (void)json;
  put(answer, "{\"message\": \"this call is not supported\"}");
  return PS_UNSUPPORTED;
}

static void destroy(void *instance) {
  strategy *it = instance;
  free(it->members), free(it->planned), free(it);
}

const ps_plugin_api *peerstream_plugin_v0(void) {
  static const ps_plugin_api api = {
      .magic = {'P', 'S', 'P', 'L', 'U', 'G', 'I', 'N'},
      .abi_major = PS_ABI_MAJOR,
      .abi_minor = PS_ABI_MINOR,
      .size = sizeof(ps_plugin_api),
      .describe = describe,
      .check = check,
      .create = create,
      .call = call,
      .batch = batch,
      .destroy = destroy,
  };
  return &api;
}
