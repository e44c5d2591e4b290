// What the dashboard makes of a host's messages, without a browser.
import assert from "node:assert/strict";
import { test } from "node:test";

import { layOut } from "../src/dashboard/layout.ts";
import { called, Model } from "../src/dashboard/model.ts";
import { budgetSentence, happening, percent, rate, roomSentence, uplinkSentence, warnings } from "../src/dashboard/sentences.ts";

type Row = [number | string, string, string | null, number, (number | string)[], null, null, number, number, number];

/** A node that is fine: connected, relays, confirmed. */
const row = (name: number | string, parents: (number | string)[], place: string | null = null): Row =>
  [name, name === 0 ? "s" : "v", place, 1, parents, null, null, 2, 7, 0];

function modelOf(message: object): Model {
  const model = new Model();
  model.take(JSON.stringify({ all: true, ...message }));
  return model;
}

/** A dumbbell of so many nodes in each half. */
function dumbbell(half: number): Row[] {
  const rows: Row[] = [row(0, [])];
  for (let position = 1; position <= half; position += 1) {
    const [a, b] = [2 * position - 1, 2 * position];
    const above = Math.floor(position / 2);
    rows.push(row(a, [above === 0 ? 0 : 2 * above - 1], `A${position}`), row(b, [above === 0 ? 0 : 2 * above], `B${position}`));
  }
  return rows;
}

test("everything is told once and then what has changed", () => {
  const model = modelOf({ put: [row(0, []), row(1, [0])], lag: [[1, 500]], figures: [[1, 10, 20, 0, 0]] });
  assert.equal(model.nodes.get("1")?.lag_ms, 500);
  assert.deepEqual(model.take(JSON.stringify({ put: [row(1, [0], "A1")] })), { shape: true, moments: [], more: 0 });
  assert.deepEqual([model.nodes.get("1")?.place, model.nodes.get("1")?.sent_kb], ["A1", 20], "figures stay");
  assert.equal(model.take(JSON.stringify({ lag: [[1, 700], [9, 1]] })).shape, false);
  assert.equal(model.nodes.get("1")?.lag_ms, 700);
  model.take(JSON.stringify({ gone: [1] }));
  assert.deepEqual([...model.nodes.keys()], ["0"]);
});

test("what is of an unknown shape is survived", () => {
  const strange = { lag: "x", figures: [[2, "a", null]], gone: 3, moments: 4, course: [5], sums: [] };
  const model = modelOf({ put: [7, [], [1], row(2, [0])], ...strange });
  assert.equal(model.nodes.get("2")?.received_kb, 0);
  assert.equal(model.sums.number("rates", "sent_bps"), 0);
  assert.throws(() => model.take("nonsense"));
  for (const text of ["null", "3", "[]"]) assert.equal(model.take(text).shape, false);
});

test("happenings are told to those who were there, and only listed for those who come later", () => {
  const model = modelOf({ moments: { rows: [[5, 1, "joined", null]], more: 0 } });
  const news = model.take(JSON.stringify({ moments: { rows: [[9, 3, "rescued", 2]], more: 4 } }));
  assert.deepEqual([news.moments.map(happening), news.more, model.moments.length], [["is fed by n2 in the meantime"], 4, 2]);
});

test("the two halves of a dumbbell are drawn on two sides, level by level", () => {
  const model = modelOf({ put: dumbbell(31) });
  const spots = layOut(model.nodes);
  assert.equal(spots.length, 63);
  for (const spot of spots.slice(1)) {
    const node = model.nodes.get(spot.name);
    assert.equal(spot.tree, node?.place.startsWith("A") ? 0 : 1);
    assert.ok(spot.tree === 0 ? spot.x < 0.01 : spot.x > -0.01, `${spot.name} at ${spot.x}`);
    assert.ok(Math.abs(Math.hypot(spot.x, spot.y) - spot.depth / 5) < 1e-9);
    assert.equal(spots[spot.above]?.name, node?.parents[0]);
  }
});

test("nodes do not lie upon each other", () => {
  const spots = layOut(modelOf({ put: dumbbell(127) }).nodes);
  const places = new Set(spots.map(({ x, y }) => `${x.toFixed(4)} ${y.toFixed(4)}`));
  assert.equal(places.size, spots.length);
});

test("of stripes each has a tree with everybody in it", () => {
  const rows = [row(0, []), row(1, [0, 2]), row(2, [1, 0]), row(3, [1, 2])];
  const spots = layOut(modelOf({ put: rows }).nodes);
  const of = (tree: number) => spots.filter((spot, index) => index > 0 && spot.tree === tree).map(({ name }) => name).sort();
  assert.deepEqual([of(0), of(1)], [["1", "2", "3"], ["1", "2", "3"]]);
});

test("a circle among parents and a parent nobody knows do no harm", () => {
  const spots = layOut(modelOf({ put: [row(0, []), row(1, [2]), row(2, [1]), row(3, [77]), row(4, [0])] }).nodes);
  assert.deepEqual(spots.map(({ name }) => name), ["0", "4"]);
});

test("two thousand nodes are laid out in a moment", () => {
  const model = modelOf({ put: dumbbell(1_000) });
  const start = performance.now();
  for (let time = 0; time < 10; time += 1) assert.equal(layOut(model.nodes).length, 2_001);
  assert.ok(performance.now() - start < 5_000);
});

test("nodes are called as in the log", () => {
  assert.deepEqual(["0", "5", "5@12"].map(called), ["source", "n5", "n5"]);
});

test("numbers are written for people", () => {
  const rates = [640_000, 2_540_000, 43e6, 2.5e9].map(rate);
  assert.deepEqual(rates, ["640 kbit/s", "2.5 Mbit/s", "43 Mbit/s", "2.50 Gbit/s"]);
  assert.deepEqual([percent(1), percent(0.99987), percent(0.5), percent(0)], ["100 %", "99.99 %", "50.0 %", "0 %"]);
});

test("what uplinks carry is told once some are measured", () => {
  const sums = (uplinks: object) => modelOf({ sums: { uplinks } }).sums;
  assert.equal(uplinkSentence(sums({ measured: 0, carry: 0, median_kbps: 0, or_more: false })), "");
  const some = { measured: 35, carry: 31, median_kbps: 12_000, or_more: false };
  assert.match(uplinkSentence(sums(some)), /of 35 viewers measured 31 can send two copies .* 12 Mbit\/s or more/);
  assert.match(uplinkSentence(sums({ ...some, or_more: true })), /have at least 12 Mbit/);
});

test("the room and the budget are told in a sentence", () => {
  const sums = (outlook: object) => modelOf({ sums: { outlook, rates: { stream_bps: 2.5e6 } } }).sums;
  const roomy = sums({ places: 12, more: null, limit: 900, direct: 8, level: "roomy" });
  assert.match(roomSentence(roomy), /room for 12 viewers .* bring their own room, up to 900/);
  assert.match(budgetSentence(roomy, 20), /budget of 20 Mbit\/s and a stream of 2.5 Mbit\/s .* up to 8 viewers/);
  assert.match(budgetSentence(roomy, 0), /feeds two viewers itself/);
  assert.deepEqual(warnings(roomy, null), []);
  const full = sums({ places: 0, more: 0, limit: 900, direct: 2, level: "full" });
  assert.match(warnings(full, null).join(), /tree is full/);
});
