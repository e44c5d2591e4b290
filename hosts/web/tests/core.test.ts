// The driver's half of the interface against the real module.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { Core, CoreStopped, type NodeConfig } from "../src/core.ts";
import type { Bytes, Orders } from "../src/records.ts";
import type { NodeStatus } from "../src/status.ts";

declare const DIST: string;

const module = await WebAssembly.compile(readFileSync(`${DIST}/peerstream.wasm`));
const CONFIG: NodeConfig = {
  role: "viewer",
  capacity: 2,
  relay: true,
  endpoints: 2,
  publisher: "ab".repeat(32),
  seed: new Uint8Array(32).fill(7),
};
const NAMES = ["openControl", "closeControl", "control", "open", "signal", "closeLink", "send", "begin", "init", "deliver"] as const;
const MORE = ["skip", "rate", "seek", "ended", "refused", "wrongPublisher", "setTimer", "fetch", "endFetch"] as const;

/** Notes every order; bytes are copied. */
function recorder(): { orders: Orders; log: [string, ...unknown[]][] } {
  const log: [string, ...unknown[]][] = [];
  const copy = (value: unknown): unknown => (value instanceof Uint8Array ? value.slice() : value);
  const note = (name: string) => (...values: unknown[]): void => void log.push([name, ...values.map(copy)]);
  const orders = Object.fromEntries([...NAMES, ...MORE].map((name) => [name, note(name)]));
  return { orders: orders as unknown as Orders, log };
}

async function node(): Promise<{ core: Core; node: number; log: [string, ...unknown[]][]; orders: Orders }> {
  const core = await Core.load(module);
  const { orders, log } = recorder();
  const node = core.create(CONFIG, 0);
  core.carryOut(core.guard((calls) => calls.ps_first(node)), orders);
  return { core, node, log, orders };
}

test("a new node asks for the first control connection and says hello on it", async () => {
  const { core, node: id, log, orders } = await node();
  assert.deepEqual(log.find(([name]) => name === "openControl"), ["openControl", 0]);
  core.carryOut(core.guard((calls) => calls.ps_control_up(id, 1000)), orders);
  const hello = log.find(([name]) => name === "control")?.[1] as Bytes | undefined;
  assert.ok(hello && hello.length > 32, "a hello with the key in it");
  assert.ok(Buffer.from(hello).includes(Buffer.from("ab".repeat(32), "hex")));
});

test("a lost connection is tried again at the next endpoint", async () => {
  const { core, node: id, log, orders } = await node();
  let now = 0;
  for (let step = 0; step < 400 && !log.some(([name, endpoint]) => name === "openControl" && endpoint === 1); step += 1) {
    now += 100_000;
    if (step === 0) core.carryOut(core.guard((calls) => calls.ps_control_down(id, now)), orders);
    core.carryOut(core.guard((calls) => calls.ps_tick(id, now)), orders);
  }
  assert.ok(log.some(([name, endpoint]) => name === "openControl" && endpoint === 1));
});

test("the status is the node's", async () => {
  const { core, node: id } = await node();
  const status = core.status(id) as NodeStatus;
  assert.equal(status.node, null);
  assert.equal(status.relay, true);
  assert.deepEqual(status.feeders, []);
  assert.equal(status.figures.delivered, 0);
});

test("nonsense from the network and from the driver stops nothing", async () => {
  const { core, node: id, orders } = await node();
  for (let length = 0; length < 300; length += 1) {
    const bytes = Uint8Array.from({ length }, (_, i) => (i * 31 + length * 17) & 255);
    core.carryOut(core.guard((calls) => calls.ps_control(id, length, core.write(bytes))), orders);
    core.carryOut(core.guard((calls) => calls.ps_frame(id, length, length, length % 3, core.write(bytes))), orders);
    core.guard((calls) => calls.ps_link_signal(id, length, 4, core.write(bytes)));
    core.expandSignal(bytes);
  }
  core.guard((calls) => calls.ps_player(id, Number.NaN, -1, Infinity, Number.NaN, -5, Number.NaN, -1, Infinity, 99));
  core.guard((calls) => calls.ps_playout(id, 0, 255));
  core.guard((calls) => calls.ps_return_to_edge(id, Number.NaN));
  core.guard((calls) => calls.ps_woke(id, -1));
  assert.equal(core.guard((calls) => calls.ps_control(id, 0, 10_000_000)), -2);
  assert.equal(core.guard((calls) => calls.ps_tick(999, 0)), -1);
  assert.equal(core.stopped, false);
});

test("descriptions and candidates go through the module and back", async () => {
  const core = await Core.load(module);
  const line = core.expandSignal(core.signalOfCandidate("candidate:1 1 udp 2130706431 192.0.2.7 50000 typ host")!);
  assert.equal(line?.kind, "candidate");
  assert.match(line.text, /192\.0\.2\.7 50000 typ host/);
  assert.equal(core.signalOfCandidate("candidate:1 1 tcp 1518280447 192.0.2.1 9 typ host tcptype active"), null);
  assert.equal(core.expandSignal(core.signalOfCandidate("")!)?.kind, "end");
  const print = Array(32).fill("0A").join(":");
  const sdp = `v=0\r\na=ice-ufrag:abcd\r\na=ice-pwd:${"p".repeat(22)}\r\na=fingerprint:sha-256 ${print}\r\n`;
  const signal = core.signalOfSdp("offer", sdp);
  assert.ok(signal.length < 100);
  const back = core.expandSignal(signal);
  assert.equal(back?.kind, "offer");
  assert.match(back.text, /m=application/);
});

test("two nodes in one module do not mix", async () => {
  const core = await Core.load(module);
  const { orders } = recorder();
  const [one, two] = [core.create(CONFIG, 0), core.create({ ...CONFIG, relay: false }, 0)];
  core.carryOut(core.guard((calls) => calls.ps_relay(one, 5, 0)), orders);
  core.carryOut(core.guard((calls) => calls.ps_relay(two, 5, 1)), orders);
  assert.equal((core.status(one) as NodeStatus).relay, false);
  assert.equal((core.status(two) as NodeStatus).relay, true);
  core.drop(one);
  assert.throws(() => core.status(one), /refused/);
});

test("a panic is told, and a fresh module works", async () => {
  const core = await Core.load(module);
  const told: unknown[] = [];
  const error = console.error;
  console.error = (text: unknown) => told.push(text);
  try {
    assert.throws(() => core.guard((calls) => calls.ps_panic()), CoreStopped);
  } finally {
    console.error = error;
  }
  assert.match(String(told[0]), /asked for by the driver/);
  assert.equal(core.stopped, true);
  assert.throws(() => core.create(CONFIG, 0), CoreStopped);
  assert.ok((await Core.load(module)).create(CONFIG, 0) > 0);
});
