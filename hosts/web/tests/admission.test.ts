import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { test } from "node:test";

import { Admission, Denied } from "../src/admission.ts";
import { controlUrl } from "../src/control.ts";
import { sha256, solve, zeroBits } from "../src/work.ts";

const hex = (words: Int32Array): string => [...words].map((word) => (word >>> 0).toString(16).padStart(8, "0")).join("");

test("the hash is SHA-256, whatever the length", () => {
  for (const length of [0, 1, 3, 55, 56, 63, 64, 65, 119, 120, 1000]) {
    const bytes = Uint8Array.from({ length }, (_, i) => i * 7);
    assert.equal(hex(sha256(bytes)), createHash("sha256").update(bytes).digest("hex"), `${length}`);
  }
});

test("a puzzle is solved, and one that is too hard is not tried", async () => {
  const answer = await solve("6b49d200-00ff", 12, new AbortController().signal);
  assert.ok(answer?.startsWith("6b49d200-00ff:") && zeroBits(answer) >= 12);
  assert.ok(createHash("sha256").update(answer).digest("hex").startsWith("000"));
  assert.equal(await solve("x", 27, new AbortController().signal), null);
  assert.equal(await solve("x", 20, AbortSignal.abort()), null);
});

/** A host that answers each question for admission with what a test says. */
async function host(answer: (proof: string | null, asked: number) => unknown): Promise<{ url: string; server: Server; asked: string[] }> {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? "", "http://host/");
    asked.push(url.pathname);
    response.end(JSON.stringify(answer(url.searchParams.get("proof"), asked.length)));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/club/`, server, asked };
}

test("an open host is not asked, and one that refused a connection is", async () => {
  const { url, server, asked } = await host(() => ({ verdict: "allow", ticket: "t1", ttl_s: 60 }));
  const admission = new Admission(null);
  assert.equal(admission.isOpen(url), true);
  assert.equal(await admission.ticket(url), null);
  assert.deepEqual(asked, []);
  admission.doubt(url);
  assert.equal(admission.isOpen(url), false);
  assert.equal(await admission.ticket(url), "t1");
  assert.equal(await admission.ticket(url), "t1");
  assert.deepEqual(asked, ["/club/api/v1/admission"]);
  admission.expect(url, false);
  assert.equal(admission.isOpen(url), true);
  server.close();
});

test("a ticket that was refused or is about to expire is not used", async () => {
  const { url, server, asked } = await host((_, count) => ({ verdict: "allow", ticket: `t${count}`, ttl_s: 60 }));
  let now = 0;
  const admission = new Admission(null, () => now);
  admission.expect(url, true);
  assert.equal(await admission.ticket(url), "t1");
  now = 56_000;
  assert.equal(await admission.ticket(url), "t2");
  admission.doubt(url);
  assert.equal(await admission.ticket(url), "t3");
  assert.equal(asked.length, 3);
  server.close();
});

test("the page shows its token, and does the work that it is set", async () => {
  const { url, server } = await host((proof) => {
    if (proof === null) return { verdict: "challenge", task: "work", puzzle: "1-ab", bits: 8 };
    return proof === "invited" || zeroBits(proof) >= 8 ? { verdict: "allow", ticket: proof, ttl_s: 60 } : { verdict: "deny", message: "no" };
  });
  const invited = new Admission("invited");
  invited.expect(url, true);
  assert.equal(await invited.ticket(url), "invited");
  const worker = new Admission(null);
  worker.expect(url, true);
  assert.match((await worker.ticket(url)) ?? "", /^1-ab:\d+$/);
  server.close();
});

test("a page that is not let in says why, and a host that asks for ever is given up", async () => {
  const deny = await host(() => ({ verdict: "deny", message: "the token has expired" }));
  const admission = new Admission("old");
  admission.expect(deny.url, true);
  await assert.rejects(admission.ticket(deny.url), (error) => error instanceof Denied && error.message === "the token has expired");
  deny.server.close();
  const token = await host(() => ({ verdict: "challenge", task: "token" }));
  admission.expect(token.url, true);
  await assert.rejects(admission.ticket(token.url), /no token/);
  token.server.close();
  const forever = await host(() => ({ verdict: "challenge", task: "work", puzzle: "1-ab", bits: 1 }));
  admission.expect(forever.url, true);
  assert.equal(await admission.ticket(forever.url), null);
  assert.equal(forever.asked.length, 3);
  forever.server.close();
  assert.equal(await admission.ticket(forever.url), null);
});

test("a ticket is shown in the control connection's address", () => {
  assert.equal(controlUrl("http://127.0.0.1:8080/", "a.b"), "ws://127.0.0.1:8080/api/v1/control?ticket=a.b");
});
