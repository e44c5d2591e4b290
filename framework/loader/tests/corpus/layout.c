/* Sizes, offsets and numbers of the interface, one "name value" a line, to be compared with those of Rust. */
#include "peerstream_plugin.h"

#include <stdio.h>

#define SIZE(type) printf("sizeof(" #type ") %zu\n", sizeof(type))
#define OFFSET(type, field) printf(#type "." #field " %zu\n", offsetof(type, field))
#define NUMBER(name) printf(#name " %lld\n", (long long)(name))

int main(void) {
  SIZE(ps_bytes), SIZE(ps_out), SIZE(ps_event), SIZE(ps_op), SIZE(ps_batch), SIZE(ps_host), SIZE(ps_plugin_api);
  OFFSET(ps_event, index), OFFSET(ps_event, node), OFFSET(ps_event, a), OFFSET(ps_event, b), OFFSET(ps_event, time_us), OFFSET(ps_event, v);
  OFFSET(ps_op, group), OFFSET(ps_op, node), OFFSET(ps_op, target), OFFSET(ps_op, second), OFFSET(ps_op, value);
  OFFSET(ps_batch, now_us), OFFSET(ps_batch, source), OFFSET(ps_batch, stride), OFFSET(ps_batch, count), OFFSET(ps_batch, records), OFFSET(ps_batch, ops_max);
  OFFSET(ps_host, ctx), OFFSET(ps_host, log), OFFSET(ps_host, complete);
  OFFSET(ps_plugin_api, abi_major), OFFSET(ps_plugin_api, size), OFFSET(ps_plugin_api, describe), OFFSET(ps_plugin_api, check), OFFSET(ps_plugin_api, create);
  OFFSET(ps_plugin_api, call), OFFSET(ps_plugin_api, batch), OFFSET(ps_plugin_api, submit), OFFSET(ps_plugin_api, cancel), OFFSET(ps_plugin_api, destroy);
  NUMBER(PS_ABI_MAJOR), NUMBER(PS_ABI_MINOR);
  NUMBER(PS_PENDING), NUMBER(PS_INVALID), NUMBER(PS_INTERNAL), NUMBER(PS_PANICKED);
  NUMBER(PS_TICK), NUMBER(PS_JOINED), NUMBER(PS_LEFT), NUMBER(PS_CHANGED), NUMBER(PS_LINK_FAILED), NUMBER(PS_UNDERPERFORMS), NUMBER(PS_REJECTED), NUMBER(PS_ROUND_TRIP);
  NUMBER(PS_MEMBER), NUMBER(PS_PARENT), NUMBER(PS_BACKUP), NUMBER(PS_STANDBY), NUMBER(PS_OVERLOAD), NUMBER(PS_LEAF);
  NUMBER(PS_RELAY), NUMBER(PS_UNTRIED), NUMBER(PS_GONE);
  NUMBER(PS_SET_PARENT), NUMBER(PS_SET_BACKUP), NUMBER(PS_SET_STANDBY), NUMBER(PS_DETACH), NUMBER(PS_RUNG);
  NUMBER(PS_ATTACH), NUMBER(PS_EVENTS), NUMBER(PS_DECIDE), NUMBER(PS_WAITING), NUMBER(PS_PLACE), NUMBER(PS_EXPLAIN), NUMBER(PS_DIGEST), NUMBER(PS_TRAITS), NUMBER(PS_HEALTH), NUMBER(PS_MOVED);
  NUMBER(PS_PROBE), NUMBER(PS_START), NUMBER(PS_RELOAD), NUMBER(PS_STOP), NUMBER(PS_WRITE), NUMBER(PS_FLUSH);
  NUMBER(PS_ARCHIVE_OPEN), NUMBER(PS_ARCHIVE_PUT), NUMBER(PS_ARCHIVE_FINALIZE), NUMBER(PS_ARCHIVE_READ), NUMBER(PS_ARCHIVE_LIST), NUMBER(PS_ARCHIVE_RESTRICT);
  NUMBER(PS_ARCHIVE_INDEX), NUMBER(PS_ARCHIVE_INIT), NUMBER(PS_ARCHIVE_HEADER);
  NUMBER(PS_ASSESS), NUMBER(PS_ON_TRANSITION), NUMBER(PS_ADMIT);
  return 0;
}
