import assert from "node:assert/strict";
import { test } from "node:test";

import type { Clock } from "../src/clock.ts";
import { Timer } from "../src/timer.ts";

/** A clock that is turned by hand, and `performance.now()` with it. */
function world(): { timer: Timer; turn: (to: number) => void; rings: number[]; armed: () => number } {
  let now = 0;
  let armed = 0;
  const alarms = new Map<number, [at: number, ring: () => void]>();
  const clock: Clock = {
    after(ms, ring) {
      armed += 1;
      const id = armed;
      alarms.set(id, [now + Math.max(0, ms), ring]);
      return () => alarms.delete(id);
    },
    every: () => () => undefined,
  };
  performance.now = () => now;
  const turn = (to: number): void => {
    for (now += 1; now <= to; now += 1) {
      for (const [id, [at, ring]] of [...alarms]) if (at <= now && alarms.delete(id)) ring();
    }
    now = to;
  };
  const rings: number[] = [];
  return { timer: new Timer(clock, () => rings.push(now)), turn, rings, armed: () => armed };
}

test("only the last time set counts", () => {
  const { timer, turn, rings } = world();
  timer.set(50);
  timer.set(20);
  timer.set(80);
  turn(200);
  assert.deepEqual(rings, [80]);
});

test("putting it off again and again arms it seldom", () => {
  const { timer, turn, rings, armed } = world();
  for (let now = 1; now <= 1000; now += 1) {
    timer.set(now + 100);
    turn(now);
  }
  turn(1200);
  assert.deepEqual(rings, [1100]);
  assert.ok(armed() < 15, `${armed()} alarms`);
});

test("a stopped timer is silent until it is set again", () => {
  const { timer, turn, rings } = world();
  timer.set(10);
  timer.stop();
  turn(50);
  timer.set(60);
  turn(100);
  assert.deepEqual(rings, [60]);
});

test("a time in the past rings at once", () => {
  const { timer, turn, rings } = world();
  turn(100);
  timer.set(5);
  turn(101);
  assert.deepEqual(rings, [101]);
});
