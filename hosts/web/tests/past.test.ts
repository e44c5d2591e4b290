// Where the viewer wants to be, what the page keeps, and what the slider says.
import assert from "node:assert/strict";
import { test } from "node:test";

import type { Clock } from "../src/clock.ts";
import { Aim, keeping } from "../src/past.ts";
import { ago } from "../src/words.ts";

/** A clock whose time passes by hand. */
function byHand(): { clock: Clock; pass: () => void } {
  const due = new Set<() => void>();
  const after = (_: number, ring: () => void) => {
    due.add(ring);
    return () => void due.delete(ring);
  };
  const clock = { after, every: after } as unknown as Clock;
  const pass = (): void => {
    for (const ring of [...due]) {
      due.delete(ring);
      ring();
    }
  };
  return { clock, pass };
}

test("presses are gathered into one move", () => {
  const { clock, pass } = byHand();
  const went: number[] = [];
  const aim = new Aim(clock, (behind) => went.push(behind));
  aim.move(10, 0, 600);
  aim.move(10, 0, 600);
  aim.move(10, 0, 600);
  assert.equal(aim.wanted, 30);
  pass();
  assert.deepEqual([went, aim.wanted], [[30], null]);
  aim.move(-10, 31, 600);
  pass();
  assert.deepEqual(went, [30, 21]);
});

test("nobody goes further back than the window or ahead of the edge", () => {
  const { clock, pass } = byHand();
  const went: number[] = [];
  const aim = new Aim(clock, (behind) => went.push(behind));
  aim.to(900, 600);
  pass();
  aim.move(-10, 5, 600);
  pass();
  aim.to(1, 600);
  pass();
  assert.deepEqual(went, [600, 0, 0]);
  aim.to(30, 600);
  aim.forget();
  pass();
  assert.deepEqual(went, [600, 0, 0]);
});

test("a page keeps what the host says, a small machine less, and nothing before the host has said so", () => {
  const told = { window_s: 600, keep_bytes: 64_000_000, segments: "api/v1/segments" };
  assert.deepEqual(keeping(told, undefined), { bytes: 64_000_000, span_s: 600, host: true });
  assert.deepEqual(keeping({ ...told, segments: null }, 2), { bytes: 16_000_000, span_s: 600, host: false });
  assert.deepEqual(keeping(null, 8), { bytes: 0, span_s: 0, host: false });
});

test("where the viewer is is said in words", () => {
  assert.deepEqual([0, 0.4, 10, 59.6, 125].map(ago), ["Live", "Live", "10 s behind live", "1 min 0 s behind live", "2 min 5 s behind live"]);
});
