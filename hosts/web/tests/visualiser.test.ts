// How often sound is drawn.
import assert from "node:assert/strict";
import { test } from "node:test";

import { Pace } from "../src/visualiser.ts";

test("a machine that has more to do than it can draws seldom, and one that has caught up draws often again", () => {
  const pace = new Pace(50, 400);
  assert.deepEqual([0, 10, 20].map((late) => pace.next(late)), [50, 50, 50], "in time");
  assert.deepEqual([30, 60, 150, 900].map((late) => pace.next(late)), [100, 200, 400, 400], "late");
  let pause_ms = 400;
  for (let time = 0; time < 30; time += 1) pause_ms = pace.next(0);
  assert.equal(pause_ms, 50);
});
