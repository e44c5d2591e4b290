// Methods called across threads.
import assert from "node:assert/strict";
import { test } from "node:test";

import { connect, type Port } from "../src/calls.ts";

interface Told {
  one(number: number, text: string | null): void;
  two(bytes: Uint8Array): void;
  half(number: number): Promise<number>;
}

const nothing = {};

/** Two ends of a channel as the two ends of a Worker are. */
function channel(): { near: Port; far: Port; close(): void } {
  const { port1, port2 } = new MessageChannel();
  return { near: port1 as unknown as Port, far: port2 as unknown as Port, close: () => port1.close() };
}

/** A target whose methods do nothing but what a test says. */
const target = (methods: Partial<Told>): Told => ({ one: () => undefined, two: () => undefined, half: async () => 0, ...methods });

test("methods run on the other side, in order, with what they were given", async (t) => {
  const { near, far, close } = channel();
  t.after(close);
  const log: unknown[] = [];
  const whole = new Promise<void>((done) => {
    const here = target({ one: (...given) => log.push(given), two: (bytes) => (log.push([...bytes]), done()) });
    connect<typeof nothing, Told>(far, () => here);
  });
  const { there } = connect<Told, typeof nothing>(near, () => nothing);
  there.one(1, "first");
  there.one(2, null);
  const bytes = new Uint8Array([1, 2, 3]);
  there.two(bytes);
  bytes.fill(0);
  await whole;
  assert.deepEqual(log, [[1, "first"], [2, null], [1, 2, 3]]);
});

test("questions are answered, also with a failure, and fail when the connection ends", async (t) => {
  const { near, far, close } = channel();
  t.after(close);
  const half = (number: number): Promise<number> => {
    if (number === 0) return new Promise(() => undefined);
    return number % 2 === 0 ? Promise.resolve(number / 2) : Promise.reject(new Error(`${number} is odd`));
  };
  connect<typeof nothing, Told>(far, () => target({ half }));
  const connection = connect<Told, typeof nothing>(near, () => nothing, ["half"]);
  assert.deepEqual(await Promise.all([connection.there.half(8), connection.there.half(2)]), [4, 1]);
  await assert.rejects(connection.there.half(3), /3 is odd/);
  const never = assert.rejects(connection.there.half(0), /has gone/);
  connection.close();
  await never;
});

test("questions that nobody answers do not pile up", async () => {
  const port: Port = { postMessage: () => undefined, onmessage: null };
  const { there, close } = connect<Told, typeof nothing>(port, () => nothing, ["half"]);
  const asked = Array.from({ length: 65 }, () => there.half(2).catch((error: Error) => error.message));
  assert.match(String(await asked.at(-1)), /too many/);
  close();
  assert.equal((await Promise.all(asked)).filter((text) => /gone/.test(String(text))).length, 64);
});

test("what the other side does not know is left alone", async (t) => {
  const { near, far, close } = channel();
  t.after(close);
  const told = new Promise<number>((one) => connect<typeof nothing, Pick<Told, "one">>(far, () => ({ one })));
  const { there } = connect<Told, typeof nothing>(near, () => nothing);
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
  connect<{ take(link: number, channel: object): void }, typeof nothing>(port, () => nothing).there.take(5, single);
  assert.deepEqual(posted, [[["call", 0, "take", 5, single], [single]]]);
  delete (globalThis as { RTCDataChannel?: unknown }).RTCDataChannel;
});
