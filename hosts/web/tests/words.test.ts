import assert from "node:assert/strict";
import { test } from "node:test";

import { baseUrl } from "../src/facts.ts";
import { iceServers } from "../src/ice.ts";
import { controlUrl } from "../src/control.ts";
import { NO_NODE, stateOf } from "../src/status.ts";
import { bytes, names, span, unsupportedCodecs } from "../src/words.ts";

test("the codec that does not work is named, not the one that does", () => {
  const mime = 'video/mp4; codecs="hvc1.1.6.L93.B0, mp4a.40.2"';
  assert.equal(unsupportedCodecs(mime, (type) => type.includes("mp4a")), "HEVC (H.265, hvc1.1.6.L93.B0)");
  assert.equal(unsupportedCodecs(mime, () => true), "HEVC (H.265, hvc1.1.6.L93.B0) and AAC (mp4a.40.2)");
  assert.equal(unsupportedCodecs("video/mp2t", () => false), "video/mp2t");
});

test("numbers are written as people read them", () => {
  assert.deepEqual([0, 999, 1000, 123_456, 48_200_000].map(bytes), ["0 B", "999 B", "1.0 kB", "123 kB", "48.2 MB"]);
  assert.deepEqual([870, 61_000, 3_700_000].map(span), ["0.9 s", "1 min 1 s", "1 h 1 min"]);
  assert.equal(names(["source", "n3"]), "the source, n3");
  assert.equal(names([]), "nobody");
});

test("a host's addresses follow from its base", () => {
  const base = baseUrl("https://host.example/club", "http://page.example/");
  assert.equal(base, "https://host.example/club/");
  assert.equal(controlUrl(base), "wss://host.example/club/api/v1/control");
  assert.equal(controlUrl("http://127.0.0.1:8080/"), "ws://127.0.0.1:8080/api/v1/control");
  assert.equal(baseUrl("javascript:alert(1)", "http://page.example/"), null);
});

test("servers at the endpoint's host get its name, and useless ones are left out", () => {
  const urls = ["stun:?:3478", "stun:?", "stun:192.0.2.1:5", "turn:relay.example:1", "stun:?x", "nonsense"];
  const at = (endpoint: string | null): unknown[] => iceServers(urls, endpoint).map(({ urls }) => urls);
  assert.deepEqual(at("https://host.example:8443/club/"), ["stun:host.example:3478", "stun:host.example", "stun:192.0.2.1:5"]);
  assert.deepEqual(at("http://[2001:db8::1]/")[0], "stun:[2001:db8::1]:3478");
  assert.deepEqual(at(null), ["stun:192.0.2.1:5"]);
});

test("states follow from the situation", () => {
  const situation = { node: NO_NODE, verdict: null, ended: false, taped: false, running: false, notYet: false };
  assert.equal(stateOf(situation), "connecting");
  assert.equal(stateOf({ ...situation, notYet: true }), "waiting");
  const welcome = { ...NO_NODE, control: true };
  assert.equal(stateOf({ ...situation, node: welcome }), "waiting");
  assert.equal(stateOf({ ...situation, node: { ...welcome, feeders: ["n1"] } }), "starting");
  assert.equal(stateOf({ ...situation, node: { ...welcome, feeders: ["n1"] }, notYet: true }), "waiting", "the publisher is away");
  assert.equal(stateOf({ ...situation, running: true }), "live", "without a coordinator the stream goes on");
  assert.equal(stateOf({ ...situation, running: true, ended: true }), "ended");
  assert.equal(stateOf({ ...situation, ended: true, taped: true }), "recording");
  const refused = { ...situation, verdict: { state: "refused", detail: "" } } as const;
  assert.equal(stateOf(refused), "refused");
  assert.equal(stateOf({ ...refused, running: true }), "live", "neighbours still feed it");
});

