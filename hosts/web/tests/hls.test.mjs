// Recordings as ordinary players see them: hls.js in Chromium, ffprobe, HTTP ranges; and what a page is given of the archive.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { hasChromium, launch, openPages, status, until, untilLive, untilPlaying } from "./browser.mjs";
import { binary, startDemo } from "./demo.mjs";
import { lengthOf, partsOf } from "./playlist.mjs";

const run = promisify(execFile);
const missing = !binary ? "the host is not built: cargo build -p peerstream-host" : !hasChromium() && "no Chromium here";
const options = { skip: missing || false, timeout: 180_000 };
const HLS = fileURLToPath(new URL("../node_modules/hls.js/dist/hls.min.js", import.meta.url));
let folder;
let demo;
let browser;

before(async () => {
  if (missing) return;
  folder = await mkdtemp(join(tmpdir(), "peerstream-archive-"));
  demo = await startDemo(`[archive.store]\nuse = "store"\n[archive.store.config]\nfolder = ${JSON.stringify(folder)}\n`);
  browser = await launch();
});

afterEach(async () => {
  for (const page of browser?.context.pages() ?? []) await page.close({ runBeforeUnload: false });
});

after(async () => {
  await browser?.close();
  await demo?.close();
  if (folder) await rm(folder, { recursive: true, force: true });
});

const recordings = async () => (await fetch(`${demo.url}api/v1/recordings`)).json();

/** The recording on air, once its playlist has so many parts: its address, and those of the parts. */
async function onAir(parts) {
  for (let tries = 0; tries < 300; tries += 1) {
    const live = (await recordings()).find((one) => one.live);
    const url = live && `${demo.url}${live.hls}`;
    const answer = live && (await fetch(url));
    const text = answer?.ok ? await answer.text() : "";
    const names = text.split("\n").filter((line) => line.endsWith(".m4s"));
    if (names.length >= parts) return { live, url, text, parts: names.map((name) => new URL(name, url).href) };
    await new Promise((done) => setTimeout(done, 200));
  }
  throw new Error(`no ${parts} parts: ${JSON.stringify(await recordings())}`);
}

/** A page of the host's own origin with hls.js in it, which plays this. */
async function withHls(url) {
  const page = await browser.context.newPage();
  await page.goto(`${demo.url}healthz`);
  await page.setContent("<video muted></video>");
  await page.addScriptTag({ path: HLS });
  await page.evaluate((url) => {
    const video = document.querySelector("video");
    globalThis.fatal = [];
    globalThis.hls = new globalThis.Hls({ enableWorker: false });
    globalThis.hls.on(globalThis.Hls.Events.ERROR, (_, { fatal, details }) => fatal && globalThis.fatal.push(details));
    globalThis.hls.loadSource(url);
    globalThis.hls.attachMedia(video);
    void video.play();
  }, url);
  return page;
}

const head = (page) => page.evaluate(() => document.querySelector("video").currentTime);

/** Waits until the picture has run on by so many seconds. */
async function untilRuns(page, seconds = 2) {
  const began = await head(page);
  for (let tries = 0; tries < 200; tries += 1) {
    if ((await head(page)) >= began + seconds) return;
    await page.waitForTimeout(100);
  }
  throw new Error(`stands still at ${await head(page)}: ${JSON.stringify(await page.evaluate(() => globalThis.fatal))}`);
}

test("hls.js plays the broadcast on air from its beginning on, and goes where one wants to be", options, async () => {
  const { url, text } = await onAir(3);
  assert.match(text, /#EXT-X-PLAYLIST-TYPE:EVENT/);
  assert.match(text, /#EXT-X-PROGRAM-DATE-TIME:20/);
  const page = await withHls(url);
  await untilRuns(page);
  await page.evaluate(() => (document.querySelector("video").currentTime = 1));
  await untilRuns(page);
  assert.deepEqual(await page.evaluate(() => globalThis.fatal), []);
});

test("parts are answered in ranges, and twice the same", options, async () => {
  const { parts } = await onAir(2);
  const whole = await fetch(parts[0]);
  const bytes = new Uint8Array(await whole.arrayBuffer());
  const tag = whole.headers.get("etag");
  assert.equal(Number(whole.headers.get("content-length")), bytes.length);
  assert.equal(whole.headers.get("accept-ranges"), "bytes");
  const get = (headers, method = "GET") => fetch(parts[0], { method, headers });
  const middle = await get({ range: `bytes=1000-${bytes.length - 1000}` });
  assert.equal(middle.status, 206);
  assert.equal(middle.headers.get("content-range"), `bytes 1000-${bytes.length - 1000}/${bytes.length}`);
  assert.deepEqual(new Uint8Array(await middle.arrayBuffer()), bytes.slice(1000, bytes.length - 999));
  const tail = await get({ range: "bytes=-7" });
  assert.deepEqual(new Uint8Array(await tail.arrayBuffer()), bytes.slice(-7));
  const beyond = await get({ range: `bytes=${bytes.length}-` });
  assert.deepEqual([beyond.status, beyond.headers.get("content-range")], [416, `bytes */${bytes.length}`]);
  assert.equal((await get({ range: "bytes=0-1,5-6" })).status, 200);
  assert.equal((await get({ range: "bytes=0-1", "if-range": '"another"' })).status, 200);
  assert.equal((await get({ range: "bytes=0-1", "if-range": tag })).status, 206);
  assert.equal((await get({ "if-none-match": tag })).status, 304);
  const asked = await get({}, "HEAD");
  assert.deepEqual([asked.status, Number(asked.headers.get("content-length"))], [200, bytes.length]);
  for (const name of ["0-5000.m4s", "5-5.m4s", "999990-999999.m4s", "init-00000000000000000000000000000000.mp4", "other.txt"]) {
    assert.equal((await fetch(new URL(name, parts[0]))).status, 404, name);
  }
});

test("ffprobe finds nothing wrong", options, async (t) => {
  const { url } = await onAir(3);
  const entries = "stream=codec_type:format=format_name";
  const probe = run("ffprobe", ["-v", "warning", "-show_entries", entries, "-of", "json", "-read_intervals", "%+8", "-count_packets", url]);
  const { stdout, stderr } = await probe.catch((error) => (error.code === "ENOENT" ? t.skip("no ffprobe here") : Promise.reject(error)));
  assert.equal(stderr, "");
  assert.ok(JSON.parse(stdout).streams.some(({ codec_type }) => codec_type === "video"));
});

test("a page alone is given by the host what nobody keeps", options, async () => {
  await onAir(4);
  const [page] = await openPages(browser.context, demo.url, 1);
  await untilLive([page]);
  await page.evaluate(() => document.querySelector("peerstream-player").goBack(12));
  const back = ({ state, behind_ms }) => state === "live" && behind_ms !== null && behind_ms > 7_000;
  await until(page, "12 s back", back, { timeout_ms: 40_000 });
  await untilPlaying(page);
  const { past_from_host, past_from_peers } = await status(page);
  assert.ok(past_from_host > 100_000 && past_from_peers === 0, `${past_from_host} bytes from the host`);
  assert.match(await (await fetch(`${demo.url}metrics`)).text(), /peerstream_past_bytes_total [1-9]/);
  assert.deepEqual(page.errors, []);
});

test("a recording goes on after the host was killed, and plays over the gap", options, async () => {
  const { live } = await onAir(3);
  await demo.crash();
  let text = "";
  for (let tries = 0; tries < 300 && !/#EXT-X-DISCONTINUITY\n[^]*\.m4s\n[^]*\.m4s\n/.test(text); tries += 1) {
    await new Promise((done) => setTimeout(done, 200));
    text = await (await fetch(`${demo.url}${live.hls}`)).text();
  }
  const [earlier, later] = text.split("#EXT-X-DISCONTINUITY\n");
  assert.ok(later, text);
  assert.equal((await recordings()).find((one) => one.live).id, live.id);
  await demo.restart();
  const gap = lengthOf(partsOf(earlier));
  const [front] = await openPages(browser.context, demo.url, 1);
  const link = front.locator(`.recordings a[href*="${live.id}"]`);
  await link.waitFor({ timeout: 20_000 });
  await front.goto(await link.evaluate(({ href }) => href));
  for (const page of [front, await withHls(`${demo.url}${live.hls}`)]) {
    await page.bringToFront();
    await page.evaluate(() => document.querySelector("video").play());
    await untilRuns(page, 1);
    await page.evaluate((at) => (document.querySelector("video").currentTime = at), gap - 1.5);
    await untilRuns(page, 4);
  }
});

test("a broadcast that is over is on the host's page, and its own page plays it", options, async () => {
  const { live } = await onAir(3);
  await demo.restart();
  const [front] = await openPages(browser.context, demo.url, 1);
  const link = front.locator(`.recordings a[href*="${live.id}"]`);
  await link.waitFor({ timeout: 20_000 });
  await front.goto(await link.evaluate(({ href }) => href));
  const text = await (await fetch(`${demo.url}${live.hls}`)).text();
  assert.match(text, /#EXT-X-ENDLIST/);
  await front.evaluate(() => document.querySelector("video").play());
  await untilRuns(front);
  await front.evaluate(() => (document.querySelector("video").currentTime = 6));
  await untilRuns(front, 1);
  const lasts = await front.evaluate(() => document.querySelector("video").duration);
  assert.ok(lasts >= 11, `${lasts} s`);
  assert.deepEqual(front.errors, []);
  await untilRuns(await withHls(`${demo.url}${live.hls}`));
});
