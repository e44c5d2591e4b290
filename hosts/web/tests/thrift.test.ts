// When a page relays, and how much.
import assert from "node:assert/strict";
import { test } from "node:test";

import { childrenWithin, copiesWithin, Rate, reasonNot, type Surroundings } from "../src/thrift.ts";

const FINE: Surroundings = {
  off: false,
  metered: false,
  meteredAllowed: false,
  hidden_ms: 0,
  battery: null,
  copies: null,
  linkless: false,
};
const reason = (change: Partial<Surroundings>) => reasonNot({ ...FINE, ...change });

test("a page relays unless there is a reason not to", () => {
  assert.equal(reason({}), null);
  assert.equal(reason({ battery: 0.8 }), null);
  assert.equal(reason({ hidden_ms: 5_000 }), null, "a glance at another tab is none");
  assert.equal(reason({ copies: 2 }), null);
});

test("each reason is told", () => {
  assert.equal(reason({ off: true, battery: 0.1 }), "off");
  assert.equal(reason({ metered: true }), "metered");
  assert.equal(reason({ metered: true, meteredAllowed: true }), null);
  assert.equal(reason({ hidden_ms: 60_000 }), "hidden");
  assert.equal(reason({ battery: 0.1 }), "battery");
  assert.equal(reason({ copies: 1 }), "cap");
  assert.equal(reason({ linkless: true }), "linkless");
});

test("a cap is never passed, the spare copy included", () => {
  for (const [cap, rate] of [[10, 2.5e6], [5, 2.5e6], [4.9, 2.5e6], [100, 96e3], [0, 1e6], [7.5, null]] as const) {
    const copies = copiesWithin(cap, rate);
    const children = childrenWithin(copies);
    const sends = reason({ copies }) === "cap" ? 0 : children + 1;
    assert.ok(sends * (rate ?? 2.5e6) <= cap * 1e6, `${sends} copies of ${rate} within ${cap} Mbit/s`);
    assert.ok(children <= 2);
  }
  assert.equal(childrenWithin(null), 2);
});

test("the rate is what comes, not what a newcomer is sent at once", () => {
  const rate = new Rate();
  // Two megabytes at once, then a megabit a second.
  for (let second = 0; second <= 15; second += 1) rate.note(second === 0 ? 0 : 2e6 + second * 125_000, second * 1_000);
  assert.equal(rate.bits_per_second, null);
  for (let second = 16; second <= 40; second += 1) rate.note(2e6 + second * 125_000, second * 1_000);
  assert.equal(rate.bits_per_second, 1_050_000);
  rate.note(0, 41_000);
  assert.equal(rate.bits_per_second, 1_050_000, "another node begins at nothing");
});
