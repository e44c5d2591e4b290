// What the picker of a part computes, without a page.
import assert from "node:assert/strict";
import { test } from "node:test";

import { readPlaylist } from "../src/playlist.ts";
import { formAddress } from "../src/report.ts";
import { stepOf } from "../src/takedown/picker.ts";
import { broadcastMs, rangeOf, readRange, recordingS, SPAN_S_MIN, within } from "../src/takedown/range.ts";
import { spoken } from "../src/takedown/times.ts";

/** Parts of four seconds and twenty segments; the one from 8 s to 12 s of the broadcast is withheld. */
const { parts } = readPlaylist(
  ["#EXTM3U", ...[[0, 0], [20, 4], [60, 12]].flatMap(([seq = 0, at = 0]) => [
    `#EXT-X-PROGRAM-DATE-TIME:${new Date(1_790_000_000_000 + at * 1000).toISOString()}`,
    "#EXTINF:4.0,",
    `${seq}-${seq + 20}.m4s?ticket=x`,
  ])].join("\n"),
  "https://host.example/hls/r/index.m3u8",
);

test("a part stays within the recording, and the handle that is not moved gives way", () => {
  assert.deepEqual(within({ from: 3, to: 9 }, "from", 60, 30), { from: 3, to: 9 });
  assert.deepEqual(within({ from: 20, to: 9 }, "from", 60, 30), { from: 20, to: 20 + SPAN_S_MIN });
  assert.deepEqual(within({ from: 20, to: 9 }, "to", 60, 30), { from: 9 - SPAN_S_MIN, to: 9 });
  assert.deepEqual(within({ from: -5, to: 99 }, "from", 60, 30), { from: 0, to: 30 });
  assert.deepEqual(within({ from: -5, to: 99 }, "to", 60, 30), { from: 30, to: 60 });
  assert.deepEqual(within({ from: NaN, to: Infinity }, "from", 60, 100), { from: 0, to: SPAN_S_MIN });
  const short = within({ from: 1, to: 2 }, "from", 0.2, 30);
  assert.ok(short.from >= 0 && short.to <= 0.2, JSON.stringify(short));
});

test("a part is named by the times of the broadcast and by its segments, around what is missing", () => {
  assert.deepEqual(rangeOf(parts, { from: 1, to: 3 }), { times_ms: [1_000, 3_000], segments: [5, 15] });
  assert.deepEqual(rangeOf(parts, { from: 7, to: 9.1 }), { times_ms: [7_000, 13_100], segments: [35, 66] });
  assert.deepEqual(rangeOf(parts, { from: 4, to: 8 }), { times_ms: [4_000, 8_000], segments: [20, 40] });
  assert.equal(rangeOf([], { from: 0, to: 1 }), null);
  const nameless = parts.map((part) => ({ ...part, url: "https://host.example/a.mp4", date_ms: NaN }));
  assert.deepEqual(rangeOf(nameless, { from: 7, to: 9 }), { times_ms: [7_000, 9_000], segments: null });
  for (const seconds of [0, 3.5, 8, 11.9]) assert.ok(Math.abs(recordingS(parts, broadcastMs(parts, seconds)) - seconds) < 0.01, String(seconds));
  assert.equal(recordingS(parts, 10_000), 8, "what is withheld is where it goes on");
});

test("an address with nonsense for a range fills in nothing", () => {
  const read = (query: string) => readRange(new URLSearchParams(query));
  assert.deepEqual(read("from_ms=1000&to_ms=2000&first_seq=5&end_seq=9"), { times_ms: [1_000, 2_000], segments: [5, 9] });
  const nonsense = [
    "from_ms=2000&to_ms=1000", "from_ms=1&to_ms=9999999999999999", "from_ms=-1&to_ms=5", "from_ms=0&to_ms=21600001", "from_ms=1e3&to_ms=2e3",
    "first_seq=5&end_seq=5", "first_seq=0&end_seq=4294967296", "first_seq=0&end_seq=200001", "first_seq=<b>&end_seq=7", "",
  ];
  for (const query of nonsense) assert.deepEqual(read(query), { times_ms: null, segments: null }, query);
  const picked = rangeOf(parts, { from: 1, to: 3 })!;
  const { searchParams } = new URL(formAddress("https://host.example/a/", { epoch: 17, ...picked }));
  assert.deepEqual(readRange(searchParams), picked, "what the picker hands over is read");
});

test("times are said in words, and keys move a handle by a second, a tenth or ten", () => {
  assert.deepEqual([0, 1_000, 61_500, 3_600_000, 7_384_000].map(spoken), ["0 seconds", "1 second", "1 minute 1.5 seconds", "1 hour", "2 hours 3 minutes 4 seconds"]);
  const key = (name: string, more = {}) => stepOf({ key: name, shiftKey: false, ctrlKey: false, altKey: false, metaKey: false, ...more });
  assert.deepEqual(["ArrowRight", "ArrowDown", "PageUp", "Home", "a"].map((name) => key(name)), [1, -1, 10, null, null]);
  assert.equal(key("ArrowLeft", { shiftKey: true }), -0.1);
  assert.equal(key("ArrowLeft", { ctrlKey: true }), null);
});
