// What the pages about complaints compute, without a page.
import assert from "node:assert/strict";
import { test } from "node:test";

import { Refused } from "../src/takedown/api.ts";
import { course, type Letter, recipient, stands, trouble, troubled } from "../src/takedown/letters.ts";
import { gather, Misread, scatter } from "../src/takedown/notice.ts";
import { allowed, ORDERS } from "../src/takedown/orders.ts";
import { shown } from "../src/takedown/shown.ts";
import { fromNow, readTime, writeTime } from "../src/takedown/times.ts";
import { upload } from "../src/takedown/upload.ts";

test("times are read as people write them, and nothing else is", () => {
  const times: [string, number | null][] = [
    ["90", 90_000], ["1:30", 90_000], ["90:00", 5_400_000], ["1:02:03.5", 3_723_500], [" 0:00,25 ", 250],
    ["", null], ["1:60", null], ["1:60:00", null], ["1:2:3:4", null], ["-1", null], ["1e3", null], ["abc", null],
  ];
  for (const [text, ms] of times) assert.equal(readTime(text), ms, text);
  for (const ms of [0, 500, 59_900, 60_000, 3_600_000, 360_000_000]) assert.equal(readTime(writeTime(ms)), ms, writeTime(ms));
});

test("deadlines are told in words", () => {
  const far = (minutes: number) => fromNow(minutes * 60_000_000, 0);
  assert.deepEqual([1, 89, 120, 4_320, -30].map(far), ["in 1 minute", "in 89 minutes", "in 2 hours", "in 3 days", "30 minutes ago"]);
});

const MINUTE_US = 60_000_000;

function letter(more: Partial<Letter>): Letter {
  return {
    letter: "ab", case: 7, draft: null, to: "claimant", address: null, subject: "Notice 7 has come in", state: "waiting", put_us: 0, tries: 0, next_us: null, sent_us: null, problem: "", ...more,
  };
}

test("a mail is told with when it goes, to whom, and what went wrong", () => {
  const told = (more: Partial<Letter>) => course(letter(more), 0);
  assert.match(told({ state: "failing", tries: 3, next_us: 40 * MINUTE_US, problem: "no answer\u202e" }), /^written .*, tried 3 times in vain, tried again in 40 minutes: no answer⟨U\+202E⟩$/);
  assert.match(told({ state: "waiting", next_us: 0 }), /^written .*, tried now$/);
  assert.match(told({ state: "given-up", tries: 1, problem: "550" }), /^written .*, tried once in vain, not tried again: 550$/);
  assert.match(told({ state: "sent", sent_us: MINUTE_US }), /^written .*, sent [^:]+:\d\d/);
  assert.equal(recipient(letter({ address: "a@b.example" })), "who complained (a@b.example)");
  assert.equal(recipient(letter({ to: "streamer", state: "sent" })), "the streamer");
  assert.deepEqual((["waiting", "failing", "given-up", "sent"] as const).map((state) => stands(letter({ state }))), ["waits", "does not get through", "given up", "sent"]);
});

test("a case is marked in the list when a mail of it does not get through", () => {
  assert.equal(trouble({ waiting: 3, failing: 0, given_up: 0 }), null);
  assert.equal(trouble({ waiting: 0, failing: 1, given_up: 2 }), "failing");
  assert.equal(trouble({ waiting: 0, failing: 0, given_up: 2 }), "given-up");
  assert.equal(trouble(undefined), null, "a host of the version before tells nothing");
  const states = troubled((["waiting", "failing", "given-up", "sent"] as const).map((state) => letter({ state })));
  assert.deepEqual(states.map(({ state }) => state), ["failing", "given-up"]);
});

test("what hides in a text is shown, and long texts are cut", () => {
  assert.equal(shown("invoice\u202Efdp.exe"), "invoice⟨U+202E⟩fdp.exe");
  assert.equal(shown("a\u0000b\u200Bc\u001b[31m"), "a⟨U+0000⟩b⟨U+200B⟩c⟨U+001B⟩[31m");
  assert.equal(shown("two\nlines\tand <b>tags</b> =1+1"), "two\nlines\tand <b>tags</b> =1+1");
  assert.match(shown("x".repeat(100_000)), /… \(100000 characters\)$/);
  assert.equal(shown(undefined) + shown(null), "");
});

test("a form becomes a complaint without its empty fields, and the other way round", () => {
  const fields = new Map([
    ["material.from_ms", "1:00"], ["material.to_ms", "1:30"], ["material.epoch", "17"], ["work.title", " a song "],
    ["claimant.name", "A. Author"], ["claimant.phone", ""], ["signature", "A. Author"],
  ]);
  const agreed = [{ id: "accuracy", version: 1, locale: "en", sha256: "00" }];
  const notice = gather("dmca", fields, agreed, "2026-11-29");
  assert.deepEqual(notice, {
    profile: "dmca",
    material: { from_ms: 60_000, to_ms: 90_000, epoch: 17 },
    work: { title: "a song" },
    claimant: { name: "A. Author" },
    signature: "A. Author",
    statements: agreed,
    executed_on: "2026-11-29",
  });
  assert.equal(gather("dsa", new Map(), [], "2026-11-29").executed_on, undefined, "nothing agreed to has no day");
  const back = scatter(notice);
  assert.deepEqual([back.get("material.from_ms"), back.get("claimant.name"), back.get("work.url")], ["1:00", "A. Author", undefined]);
  const wrong = (from: string, to: string) => () => gather("dmca", new Map([["material.from_ms", from], ["material.to_ms", to]]), [], "");
  assert.throws(wrong("soon", ""), (error: Misread) => error.field === "material.from_ms");
  assert.throws(wrong("2:00", "1:00"), (error: Misread) => error.field === "material.to_ms");
});

test("an upload goes on where the host is after a lost answer, and ends when it is refused", async () => {
  const file = new Blob(["x".repeat(2_500)]);
  const got: number[] = [];
  let lost = true;
  const send = async (offset: number, piece: Blob) => {
    got.push(offset);
    if (offset === 1_000 && lost) {
      lost = false;
      throw new Error("the connection broke after the host had it");
    }
    if (offset === 1_000) throw new Refused(409, { error: "state", received: 2_000 }, null);
    return { received: offset + piece.size };
  };
  const sent: number[] = [];
  await upload(file, 1_000, send, (bytes) => sent.push(bytes), async () => undefined);
  assert.deepEqual(got, [0, 1_000, 1_000, 2_000]);
  assert.equal(sent.at(-1), 2_500);
  const refuse = async () => Promise.reject(new Refused(413, { error: "too-large" }, null));
  await assert.rejects(upload(file, 1_000, refuse, () => undefined, async () => undefined), Refused);
  let tries = 0;
  const gone = async () => Promise.reject(new Error(`gone ${(tries += 1)}`));
  await assert.rejects(upload(file, 1_000, gone, () => undefined, async () => undefined), /gone 5/);
});

test("every order has a key of its own, and only what a case allows is offered", () => {
  assert.equal(new Set([..."jkgpe?/", ...ORDERS.map(({ key }) => key)]).size, 7 + ORDERS.length);
  const labels = (steps: string[], state: string) => allowed(steps, state).map(({ label }) => label);
  assert.deepEqual(labels(["accept", "reject", "ask"], "screened"), ["Accept and act", "Reject", "Ask for more", "Note", "Legal hold", "Erase personal data"]);
  assert.deepEqual(labels(["restore", "close"], "actioned"), ["Do more", "Restore", "Close", "Note", "Legal hold", "Erase personal data"]);
});

test("what is to be done is told as the host wants it", () => {
  const order = (label: string) => ORDERS.find((one) => one.label === label)!;
  const answers = new Map([["hide", "yes"], ["from", "0:10"], ["to", "0:20"], ["notify", "yes"], ["note", "clear"]]);
  const actions = [{ action: "hide-range", from_ms: 10_000, to_ms: 20_000 }, { action: "notify-publisher" }];
  assert.deepEqual(order("Accept and act").tell(answers), ["decide", { decision: "act", actions, note: "clear" }]);
  assert.throws(() => order("Accept and act").tell(new Map([["hide", "yes"], ["from", "0:20"], ["to", "0:20"]])), /range/);
  assert.throws(() => order("Accept and act").tell(new Map()), /at least one/);
  assert.deepEqual(order("Ask for more").tell(new Map([["fields", " a \n\n b"]])), ["decide", { decision: "need-info", fields: ["a", "b"] }]);
  const asked = order("Accept and act").asks({ profile: "dmca", material: { from_ms: 60_000, to_ms: 61_000 } }, null);
  const first = (asks: typeof asked) => asks.slice(0, 3).map(({ value, ticked }) => value ?? ticked);
  assert.deepEqual(first(asked), [true, "1:00", "1:01"]);
  // A notice that names segments has its times from the evidence.
  assert.deepEqual(first(order("Do more").asks({ profile: "dmca" }, [5_000, 9_000])), [true, "0:05", "0:09"]);
  assert.deepEqual(first(order("Do more").asks({ profile: "dmca" }, null)), [false, "", ""]);
});
