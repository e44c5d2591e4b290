// What a node is told about buffered ranges.
import assert from "node:assert/strict";
import { test } from "node:test";

import { rangeAt } from "../src/ranges.ts";

const ranges = (...pairs: [number, number][]): TimeRanges => ({
  length: pairs.length,
  start: (index) => pairs[index]![0],
  end: (index) => pairs[index]![1],
});

test("ahead is what can be played without the holes", () => {
  const around = rangeAt(ranges([1, 3], [10, 12], [20, 21]), 2.5);
  assert.deepEqual(around, { start: 1, end: 3, next: 10, nextEnd: 12, latest: 21, ahead: 3.5 });
});

test("a head in a hole has what is behind the hole ahead of it", () => {
  const around = rangeAt(ranges([1, 3], [10, 12]), 5);
  assert.deepEqual(around, { start: 1, end: 3, next: 10, nextEnd: 12, latest: 12, ahead: 2 });
});

test("without ranges everything is where the head is", () => {
  assert.deepEqual(rangeAt(ranges(), 7), { start: 7, end: 7, next: null, nextEnd: null, latest: 7, ahead: 0 });
});

test("the range around the play head is told, or the one before it, or the first one", () => {
  const seen = (at: number, ...pairs: [number, number][]) => {
    const { start, end, next } = rangeAt(ranges(...pairs), at);
    return [start, end, next];
  };
  assert.deepEqual(seen(3, [1, 5], [6, 9]), [1, 5, 6]);
  assert.deepEqual(seen(5.5, [1, 5], [6, 9]), [1, 5, 6]);
  assert.deepEqual(seen(7, [1, 5], [6, 9]), [6, 9, null]);
  assert.deepEqual(seen(0, [120, 121]), [120, 121, null]);
});
