// Links and the player, each alone in a real Chromium: real connections with real signals, real media.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { copyFile, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

import { hasChromium, launch, missingProofs, openPages, watch } from "./browser.mjs";
import { host } from "./server.mjs";

const here = fileURLToPath(new URL(".", import.meta.url));
const fixture = (name) => readFileSync(join(here, "../../../framework/media/tests/fixtures", name));
const MIME = 'video/mp4; codecs="avc1.64001f,mp4a.40.2"';
// Stands where the player element stands in a whole page, for the shared helpers.
const PAGE = `<!doctype html><peerstream-player><video></video></peerstream-player>
<script>const it = document.querySelector("peerstream-player"); it.video = it.querySelector("video");</script>
<script type="module" src="./parts.js"></script>`;

const options = { skip: hasChromium() ? false : "no Chromium here", timeout: 60_000 };
let files;
let served;
let browser;
let page;

before(async () => {
  if (!hasChromium()) return;
  files = await mkdtemp(join(tmpdir(), "peerstream-parts-"));
  const bundle = { entryPoints: [join(here, "parts.ts")], outfile: join(files, "parts.js") };
  await build({ ...bundle, bundle: true, format: "esm", target: "es2022", logLevel: "warning" });
  await copyFile(join(here, "../dist/peerstream.wasm"), join(files, "peerstream.wasm"));
  await writeFile(join(files, "index.html"), PAGE);
  served = await host({}, { files });
  browser = await launch();
});

after(async () => {
  await browser?.close();
  served?.close();
  if (files) await rm(files, { recursive: true });
});

async function freshPage() {
  await page?.close();
  [page] = await openPages(browser.context, served.url, 1);
  await page.waitForFunction(() => globalThis.parts);
  return page;
}

test("a link opens through compact signals and carries frames on both lanes", options, async () => {
  const seen = await (await freshPage()).evaluate(async () => {
    const { offering, answering } = parts.pair();
    const wait = (holds) => new Promise((done) => { const poll = () => (holds() ? done() : setTimeout(poll, 5)); poll(); });
    const start = performance.now();
    await wait(() => offering.log.includes("up") && answering.log.includes("up"));
    const opened_ms = performance.now() - start;
    const bytes = (text) => new TextEncoder().encode(text);
    offering.link.send(0, bytes("hello"));
    answering.link.send(1, bytes("piece"));
    await wait(() => answering.frames.length === 1 && offering.frames.length === 1);
    offering.link.close();
    await wait(() => answering.log.includes("down"));
    return { opened_ms, at: answering.frames, of: offering.frames, log: [offering.log, answering.log] };
  });
  assert.deepEqual(seen.at, [[0, "hello"]]);
  assert.deepEqual(seen.of, [[1, "piece"]]);
  assert.deepEqual(seen.log, [["up"], ["up", "down"]], "only the side that did not close is told");
  assert.ok(seen.opened_ms < 3_000, `opened in ${seen.opened_ms} ms`);
});

test("credit comes back, so that megabytes get through", options, async () => {
  const seen = await (await freshPage()).evaluate(async () => {
    const { offering, answering } = parts.pair();
    const wait = (holds) => new Promise((done) => { const poll = () => (holds() ? done() : setTimeout(poll, 1)); poll(); });
    await wait(() => offering.log.includes("up") && answering.log.includes("up"));
    const piece = new Uint8Array(16 * 1024);
    let sent = 0;
    let told = 0;
    while (sent < 400) {
      // As a node does: never beyond the credit it was last told.
      await wait(() => offering.credits.length > told);
      told = offering.credits.length;
      for (let credit = offering.credits.at(-1); credit >= piece.length && sent < 400; credit -= piece.length) {
        offering.link.send(1, piece);
        sent += 1;
      }
      offering.link.settle();
    }
    await wait(() => answering.frames.length === 400);
    return answering.frames.length;
  });
  assert.equal(seen, 400);
});

test("a link that nobody answers fails in its time", options, async () => {
  const log = await (await freshPage()).evaluate(async () => {
    const { offering, answering } = parts.pair();
    answering.link.close();
    await new Promise((done) => setTimeout(done, 10_500));
    return offering.log;
  });
  assert.deepEqual(log, ["failed"]);
});

/** Cuts a file into its codec header and its fragments. */
function cut(file) {
  const boxes = [];
  for (let at = 0; at < file.length; at += file.readUInt32BE(at)) {
    boxes.push([file.toString("latin1", at + 4, at + 8), file.subarray(at, at + file.readUInt32BE(at))]);
  }
  const first = boxes.findIndex(([type]) => type === "moof");
  const header = Buffer.concat(boxes.slice(0, first).map(([, bytes]) => bytes));
  const fragments = [];
  for (const [type, bytes] of boxes.slice(first)) {
    if (type === "moof") fragments.push([]);
    fragments.at(-1).push(bytes);
  }
  return { header, fragments: fragments.map((parts) => Buffer.concat(parts)) };
}

const base64 = (bytes) => bytes.toString("base64");

test("the player plays what it is given: pictures, sound, and the end", options, async () => {
  const { header, fragments } = cut(fixture("h264-aac.mp4"));
  await freshPage();
  const media = { mime: MIME, header: base64(header), fragments: fragments.map(base64) };
  await page.evaluate(async ({ mime, header, fragments }) => {
    const bytes = (text) => Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
    const made = (globalThis.made = parts.player());
    made.appender.begin();
    made.appender.init(mime, bytes(header));
    for (const fragment of fragments) made.appender.deliver(bytes(fragment));
    while ((made.player.report()?.end ?? 0) < 1) await new Promise((done) => setTimeout(done, 10));
    made.player.seek(made.player.report().start);
    while (!made.log.includes("playing")) await new Promise((done) => setTimeout(done, 5));
  }, media);
  const seen = await watch(page, { ms: 1_500 });
  assert.deepEqual(missingProofs(seen), []);
  const end = await page.evaluate(async () => {
    made.appender.end();
    await new Promise((done) => setTimeout(done, 3_000));
    return { ended: document.querySelector("video").ended, log: made.log, counters: made.appender.counters };
  });
  assert.equal(end.ended, true);
  assert.deepEqual(end.log, ["playing"]);
  assert.equal(end.counters.restarts, 0);
});

test("the player starts anew after damaged media", options, async () => {
  const { header, fragments } = cut(fixture("h264-aac.mp4"));
  await freshPage();
  const media = { mime: MIME, header: base64(header), fragments: fragments.map(base64) };
  const seen = await page.evaluate(async ({ mime, header, fragments }) => {
    const bytes = (text) => Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
    const { player, appender } = parts.player();
    const wait = async (holds) => { while (!holds()) await new Promise((done) => setTimeout(done, 10)); };
    appender.begin();
    appender.init(mime, bytes(header));
    appender.deliver(new Uint8Array(300).fill(255));
    await wait(() => appender.counters.restarts === 1);
    for (const fragment of fragments) appender.deliver(bytes(fragment));
    await wait(() => (player.report()?.end ?? 0) > 1);
    return appender.counters.restarts;
  }, media);
  assert.equal(seen, 1);
});

test("a codec the browser does not have is told by its name", options, async () => {
  await freshPage();
  const log = await page.evaluate(() => {
    const { appender, log } = parts.player();
    appender.begin();
    appender.init('video/mp4; codecs="hvc1.1.6.L93.B0"', new Uint8Array(10));
    appender.deliver(new Uint8Array(10));
    return log;
  });
  assert.deepEqual(log, ['unsupported video/mp4; codecs="hvc1.1.6.L93.B0"']);
});
