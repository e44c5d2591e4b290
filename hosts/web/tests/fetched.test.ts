// The stream over HTTP: bytes cut into frames, whatever parts they come in.
import assert from "node:assert/strict";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { test, type TestContext } from "node:test";

import { Admission } from "../src/admission.ts";
import { Deframer, Fetcher, live } from "../src/fetched.ts";

const FRAMES = [1, 300, 0, 16_400, 7].map((length) => new Uint8Array(length).fill(length));

function framed(): Uint8Array {
  return Buffer.concat(
    FRAMES.flatMap((frame) => {
      const length = Buffer.alloc(4);
      length.writeUInt32LE(frame.length);
      return [length, Buffer.from(frame)];
    }),
  );
}

test("frames come whole out of parts of any size", () => {
  for (const size of [1, 3, 1000, 100_000]) {
    const [all, deframer, got] = [framed(), new Deframer(), [] as number[][]];
    for (let at = 0; at < all.length; at += size) {
      for (const frame of deframer.push(all.subarray(at, at + size))) got.push([...frame]);
    }
    assert.deepEqual(got, FRAMES.map((frame) => [...frame]));
  }
});

test("what is no frame is not gathered", () => {
  assert.throws(() => new Deframer().push(new Uint8Array([255, 255, 255, 255])), /frame of/);
});

/** A host that answers like this, and what a page gets of it. */
async function fetched(t: TestContext, answer: (response: ServerResponse) => void) {
  const asked: string[] = [];
  const server = createServer((request, response) => (asked.push(request.url ?? ""), answer(response))).listen(0, "127.0.0.1");
  t.after(() => (server.close(), server.closeAllConnections()));
  await new Promise((done) => server.once("listening", done));
  const got: number[] = [];
  const ends: boolean[] = [];
  let resolve: () => void = () => undefined;
  const done = new Promise<void>((ring) => (resolve = ring));
  const events = { fetched: (frame: Uint8Array) => void got.push(frame.length), ended: (whole: boolean) => (ends.push(whole), resolve()) };
  const fetcher = new Fetcher(new Admission(null), events);
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}/stream/`;
  return { fetcher, endpoint, asked, got, ends, done };
}

test("a host's frames are handed on, and its end is told once", async (t) => {
  const { fetcher, endpoint, asked, got, ends, done } = await fetched(t, (response) => response.end(framed()));
  fetcher.open(endpoint, live(17));
  await done;
  assert.deepEqual(got, [1, 300, 0, 16_400, 7]);
  assert.deepEqual(asked, ["/stream/api/v1/live?from=17"]);
  assert.deepEqual(ends, [true]);
});

test("a host that refuses, breaks off or sends nonsense ends it, and only one that has nothing has sent all", async (t) => {
  const answers: [whole: boolean, answer: (response: ServerResponse) => void][] = [
    [false, (response) => response.writeHead(503).end()],
    [false, (response) => response.writeHead(204).end()],
    [true, (response) => response.writeHead(404).end()],
    [false, (response) => response.write(Buffer.alloc(64, 255))],
    [false, (response) => response.write(framed().subarray(0, 2), () => response.destroy())],
  ];
  for (const [whole, answer] of answers) {
    const { fetcher, endpoint, got, ends, done } = await fetched(t, answer);
    fetcher.open(endpoint, live(null));
    await done;
    assert.deepEqual([got, ends], [[], [whole]]);
  }
});

test("who has closed it hears nothing more", async (t) => {
  const { fetcher, endpoint, ends, got } = await fetched(t, (response) => response.write(framed()));
  fetcher.open(endpoint, live(null));
  while (got.length === 0) await new Promise((done) => setTimeout(done, 10));
  fetcher.close();
  await new Promise((done) => setTimeout(done, 50));
  assert.deepEqual(ends, []);
});
