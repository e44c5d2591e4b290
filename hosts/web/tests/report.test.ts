// What "Report this moment" hands to the form.
import assert from "node:assert/strict";
import { test } from "node:test";

import { Recent, RECENT_MAX, reportAddress } from "../src/report.ts";

test("the last seconds and their segments are in the address, and no more are remembered", () => {
  const recent = new Recent();
  assert.equal(recent.range(), null);
  for (let seq = 0; seq < 100; seq += 1) recent.note(seq, seq * 1_000);
  assert.deepEqual(recent.range(), [74, 100]);
  const url = new URL(reportAddress("https://host.example/a/", 17, 99.5, recent.range()));
  assert.equal(url.pathname, "/a/takedown");
  assert.equal(url.search, "?epoch=17&from_ms=84500&to_ms=99500&first_seq=74&end_seq=100");
  for (let seq = 0; seq < 1_000; seq += 1) recent.note(seq, 100_000);
  assert.deepEqual(recent.range(), [1_000 - RECENT_MAX, 1_000]);
  recent.clear();
  assert.equal(new URL(reportAddress("https://host.example/", null, 0, recent.range())).search, "");
});
