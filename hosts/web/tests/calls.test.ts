// Methods called across threads.
import assert from "node:assert/strict";
import { test } from "node:test";

import { answer, type Port, remote } from "../src/calls.ts";

interface Told {
  one(number: number, text: string | null): void;
  two(bytes: Uint8Array): void;
}

/** Two ends of a channel as the two ends of a Worker are. */
function channel(): { near: Port; far: Port; close(): void } {
  const { port1, port2 } = new MessageChannel();
  return { near: port1 as unknown as Port, far: port2 as unknown as Port, close: () => port1.close() };
}

test("methods run on the other side, in order, with what they were given", async (t) => {
  const { near, far, close } = channel();
  t.after(close);
  const log: unknown[] = [];
  const whole = new Promise<void>((done) => {
    answer<Told>(far, { one: (...given) => log.push(given), two: (bytes) => (log.push([...bytes]), done()) });
  });
  const there = remote<Told>(near);
  there.one(1, "first");
  there.one(2, null);
  const bytes = new Uint8Array([1, 2, 3]);
  there.two(bytes);
  bytes.fill(0);
  await whole;
  assert.deepEqual(log, [[1, "first"], [2, null], [1, 2, 3]]);
});

test("what the other side does not know is left alone", async (t) => {
  const { near, far, close } = channel();
  t.after(close);
  const told = new Promise<number>((done) => answer<Pick<Told, "one">>(far, { one: done }));
  const there = remote<Told>(near);
  there.two(new Uint8Array(1));
  there.one(7, null);
  assert.equal(await told, 7);
});

test("what exists once is handed over, not copied", () => {
  class RTCDataChannel {}
  Object.assign(globalThis, { RTCDataChannel });
  const posted: unknown[][] = [];
  const port: Port = { postMessage: (message, transfer) => posted.push([message, transfer]), onmessage: null };
  const single = new RTCDataChannel();
  remote<{ take(link: number, channel: object): void }>(port).take(5, single);
  assert.deepEqual(posted, [[["take", 5, single], [single]]]);
  delete (globalThis as { RTCDataChannel?: unknown }).RTCDataChannel;
});
