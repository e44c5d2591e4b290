// A host's desk for complaints as far as pages can tell: it keeps what it is sent, word for word, and decides nothing. What the real one does with
// strange texts must not be what keeps a page safe.
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { extname, join } from "node:path";
import { fileURLToPath } from "node:url";

const DIST = fileURLToPath(new URL("../dist", import.meta.url));
const ASSETS = fileURLToPath(new URL("../../peerstream/src/assets.rs", import.meta.url));
const TYPES = { ".html": "text/html; charset=utf-8", ".js": "text/javascript", ".wasm": "application/wasm", ".css": "text/css" };
const PAGES = { "/takedown": "takedown.html", "/takedown/queue": "takedown-queue.html", "/takedown/status": "takedown-status.html", "/takedown/counter": "takedown-counter.html" };

/** The policy that the real host sends with these pages. */
async function policy() {
  const source = await readFile(ASSETS, "utf8");
  return /STRICT: &str = "([^"]+)"/.exec(source)[1].replace(/\\\n\s*/g, "");
}

const sha256 = (text) => createHash("sha256").update(text).digest("hex");
const statement = (id, text, required = true) => ({ id, version: 1, locale: "en", text, sha256: sha256(text), required });
const STATEMENTS = {
  dmca: [
    statement("good-faith", "I have a good faith belief."),
    statement("perjury", "I declare under penalty of perjury. Executed on 2026-11-29."),
    statement("publication", "This may be published.", false),
  ],
  dsa: [statement("bona-fide", "I confirm in good faith.")],
  "house-rules": [],
  counter: [statement("mistake", "It was a mistake.")],
};

/** Starts it. `cases` are what the desk shows; `sent` is what came in, as `[method, path, body]`; an order is answered after what `carried` waits for. */
export async function complaints({ cases = [], excerpt = null, carried = async () => undefined } = {}) {
  const sent = [];
  const csp = await policy();
  const desk = {
    stream: "ab", epoch: 17, title: "Friday night", now_us: 1_790_000_100_000_000, started_us: 1_790_000_000_000_000,
    profiles: ["dmca", "dsa", "house-rules"], confirmation: "none", today: "2026-11-29", statements: STATEMENTS,
    agent: { name: "The Agent", address: "1 Road", phone: "555", email: "agent@example.org" }, copy_bytes_max: 1e8, chunk_bytes_max: 1000, range_ms_max: 1e7, archive: true,
  };
  const row = (it) => ({ case: it.id, state: it.state, profile: it.notice.profile, lane: "normal", received_us: 1.79e15, due_us: 1.79e15, title: it.notice.work?.title ?? "", claimant: it.notice.claimant?.name ?? "", from_ms: 1, to_ms: 2, epoch: 17, comparison: it.comparison?.verdict ?? null, claimant_rejected: 2, revision: it.revision, mails: mails(it.letters ?? []) });
  const mails = (letters) => ({ waiting: count(letters, "waiting"), failing: count(letters, "failing"), given_up: count(letters, "given-up") });
  const count = (letters, state) => letters.filter((letter) => letter.state === state).length;
  const whole = (it) => ({ case: it, entries: [{ at_us: 1.79e15, step: "submit", actor: it.notice.claimant?.name, hash: "00".repeat(32) }], steps: ["accept", "reject", "ask", "close"], statements: it.notice.statements.map(({ id }) => ({ id, version: 1, text: id })), counter: it.counter ?? null, suit: null, strikes: 1, letters: it.letters ?? [] });
  let copy = 0;
  const answers = [
    [/^GET recordings$/, () => [200, []]],
    [/^GET takedown$/, () => desk],
    [/^POST takedown\/challenge$/, () => ({ puzzle: "p", bits: 8 })],
    [/^POST takedown\/drafts$/, ({ notice }) => [201, { draft: "d1", token: "t1", expires_us: 0, missing: notice.signature ? [] : ["signature", "statements.perjury"] }]],
    [/^PUT takedown\/drafts\/d1$/, (notice) => ({ missing: notice.signature ? [] : ["signature"], expires_us: 0 })],
    [/^DELETE takedown\/drafts\/d1\/copy$/, () => ((copy = 0), {})],
    [/^PUT takedown\/drafts\/d1\/copy$/, (bytes) => ({ received: (copy += bytes.length) })],
    [/^POST takedown\/drafts\/d1\/submit$/, () => [201, claim()]],
    [/^(GET|POST) takedown\/(cases\/7|status)$/, () => claim()],
    [/^POST takedown\/cases\/7\/withdraw$/, () => ({ ...claim(), state: "closed" })],
    [/^GET takedown\/desk\/session$/, () => ({ profiles: desk.profiles, handlers: [], mail: false })],
    [/^GET takedown\/desk\/drafts$/, () => ({ drafts: cases.slice(0, 2).map(({ notice }) => ({ draft: "d", expires_us: 1.79e15, notice })) })],
    [/^GET takedown\/desk\/letters$/, () => ({ letters: cases.flatMap(({ letters = [] }) => letters).filter(({ state }) => state !== "sent"), waiting: 0, given_up: 0 })],
    [/^GET takedown\/desk\/cases$/, () => ({ cases: cases.map(row), more: false, counts: { screened: cases.length } })],
    [/^GET takedown\/desk\/cases\/(\d+)$/, (_, [, id]) => whole(cases.find((it) => it.id === Number(id)))],
    [/^POST takedown\/desk\/cases\/(\d+)\/\w+$/, (_, [, id]) => carried().then(() => whole(cases.find((it) => it.id === Number(id))))],
    [/^GET dashboard\/takedowns$/, () => ({ strikes: 1, cases: cases.map((it) => ({ ...claim(), case: it.id, state: "actioned", profile: it.notice.profile, notice: it.notice })) })],
    [/^POST dashboard\/takedowns\/(\d+)\/counter$/, () => claim()],
  ];
  const claim = () => ({ case: 7, state: "received", revision: 1, profile: "dmca", received_us: 1.79e15, changed_us: 1.79e15, missing: [], asked: [], answer_by_us: null, restore_from_us: null, restore_by_us: null, decision: null, actions: [{ action: "hide-range", at_us: 1.79e15, standing: "stands" }], counter: null, redress: "You may complain.", receipt: { case: 7 } });
  const server = createServer(async (request, response) => {
    const { pathname, search } = new URL(request.url, "http://host");
    const parts = [];
    for await (const part of request) parts.push(part);
    if (pathname === "/api/v1/takedown/desk/cases/1/excerpt" && excerpt) return response.setHeader("content-type", "video/mp4").end(excerpt);
    const path = pathname.replace("/api/v1/", "");
    const found = answers.map(([pattern, answer]) => [pattern.exec(`${request.method} ${path}`), answer]).find(([match]) => match);
    if (pathname.startsWith("/api/") && found) {
      const raw = Buffer.concat(parts);
      const body = request.headers["content-type"] === "application/json" ? JSON.parse(raw) : raw;
      sent.push([request.method, path + search, body]);
      const told = await found[1](body, found[0]);
      const [status, value] = Array.isArray(told) ? told : [200, told];
      response.writeHead(status, { "content-type": "application/json" });
      return response.end(JSON.stringify(value));
    }
    const file = PAGES[pathname] ?? pathname.slice(1);
    try {
      const bytes = await readFile(join(DIST, file));
      const headers = { "content-type": TYPES[extname(file)] ?? "application/octet-stream" };
      response.writeHead(200, file.startsWith("takedown") && file.endsWith(".html") ? { ...headers, "content-security-policy": csp } : headers);
      response.end(bytes);
    } catch {
      response.writeHead(404).end();
    }
  });
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  const close = () => {
    server.close();
    server.closeAllConnections();
  };
  return { url: `http://127.0.0.1:${server.address().port}/`, sent, close };
}
