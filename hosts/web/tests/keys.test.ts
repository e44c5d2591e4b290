// Which key does what, and which keys are left alone.
import assert from "node:assert/strict";
import { test } from "node:test";

import { louder } from "../src/controls.ts";
import { actionOf, type Focus } from "../src/keys.ts";

const press = (key: string, focus: Focus = "other", more = {}) =>
  actionOf({ key, ctrlKey: false, altKey: false, metaKey: false, defaultPrevented: false, ...more }, focus);

test("each key does what players' keys do", () => {
  const keys = [" ", "k", "m", "f", "i", "l", "c", "ArrowUp", "ArrowDown", "K"];
  const actions = ["play", "play", "mute", "fullscreen", "picture", "live", "captions", "louder", "quieter", "play"];
  assert.deepEqual(keys.map((key) => press(key)), actions);
});

test("space presses the button that has the focus, and nothing besides", () => {
  assert.equal(press(" ", "button"), null);
  assert.equal(press(" ", "switch"), null);
  assert.equal(press("k", "button"), "play");
});

test("arrows move the slider that has the focus, and nothing besides", () => {
  assert.equal(press("ArrowUp", "range"), null);
  assert.equal(press("m", "range"), "mute");
});

test("keys of the browser and of the page are left alone", () => {
  for (const more of [{ ctrlKey: true }, { metaKey: true }, { altKey: true }, { defaultPrevented: true }]) {
    assert.equal(press("f", "other", more), null);
  }
  assert.equal(press("x"), null);
  assert.equal(press("Tab"), null);
});

test("the volume stays between nothing and all", () => {
  assert.deepEqual([louder(1, true), louder(0.97, true), louder(0.5, true), louder(0.02, false)], [1, 1, 0.55, 0]);
});
