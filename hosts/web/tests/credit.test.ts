import assert from "node:assert/strict";
import { test } from "node:test";

import { Credit, CREDIT_BYTES, LOW_BYTES } from "../src/credit.ts";

function world(): { pieces: { bufferedAmount: number }; credit: Credit } {
  const pieces = { bufferedAmount: 0 };
  return { pieces, credit: new Credit([{ bufferedAmount: 0 }, pieces]) };
}

test("credit is what both channels leave of the limit", () => {
  const credit = new Credit([{ bufferedAmount: 1000 }, { bufferedAmount: 500 }]);
  assert.equal(credit.tell(), CREDIT_BYTES - 1500);
});

test("credit is never negative", () => {
  assert.equal(new Credit([{ bufferedAmount: 2 * CREDIT_BYTES }]).now(), 0);
});

test("a node with most of its credit is left alone", () => {
  const { credit } = world();
  credit.spent(CREDIT_BYTES / 2);
  assert.equal(credit.isDue(), false);
});

test("a node that has spent half on a channel that is empty again is told", () => {
  const { credit } = world();
  credit.spent(CREDIT_BYTES / 2 + 1);
  assert.equal(credit.isDue(), true);
  assert.equal(credit.tell(), CREDIT_BYTES);
  assert.equal(credit.isDue(), false);
});

test("a full channel tells by itself when it has room", () => {
  const { credit, pieces } = world();
  pieces.bufferedAmount = LOW_BYTES + 1;
  credit.spent(CREDIT_BYTES);
  assert.equal(credit.isDue(), false);
});

test("no node is ever left without credit and without news to come", () => {
  const { credit, pieces } = world();
  for (let step = 0; step < 1000; step += 1) {
    credit.spent((step * 7919) % 20_000);
    pieces.bufferedAmount = (step * 104_729) % (2 * LOW_BYTES);
    if (credit.isDue()) credit.tell();
    const newsToCome = pieces.bufferedAmount > LOW_BYTES;
    assert.ok(newsToCome || !credit.isDue());
    if (newsToCome) {
      pieces.bufferedAmount = LOW_BYTES;
      assert.ok(credit.tell() >= CREDIT_BYTES - 2 * LOW_BYTES);
    }
  }
});
