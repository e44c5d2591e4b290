// An encoder publishes over RTMP: pages play it with sound, and go on by themselves when the encoder was away.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createServer } from "node:net";
import { after, afterEach, before, test } from "node:test";

import { hasChromium, launch, openPages, status, until, untilLive, untilPlaying, watch } from "./browser.mjs";
import { binary, startServe } from "./demo.mjs";

const missing = !binary ? "the host is not built: cargo build -p peerstream-host" : !hasChromium() && "no Chromium here";
const options = { skip: missing || false, timeout: 180_000 };
const KEY = "correct-horse";
let browser;

before(async () => {
  if (!missing) browser = await launch();
});

afterEach(async () => {
  for (const page of browser?.context.pages() ?? []) await page.close({ runBeforeUnload: false });
});

after(async () => {
  await browser?.close();
});

/** A port that nobody listens on. */
async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await new Promise((done) => server.once("listening", done));
  const { port } = server.address();
  await new Promise((done) => server.close(done));
  return port;
}

/** A host that waits for encoders; `publish(args)` begins one, `stop()` ends it without a goodbye. */
async function start(t) {
  const port = await freePort();
  const host = await startServe(`[ingest.rtmp]\nuse = "rtmp"\nconfig.listen = "127.0.0.1:${port}"\nconfig.key = "${KEY}"\n`);
  t.after(host.close);
  const publish = (args = VIDEO) => {
    const encoder = spawn("ffmpeg", ["-v", "error", "-nostdin", ...args, "-f", "flv", `rtmp://127.0.0.1:${port}/live/${KEY}`], {
      stdio: ["ignore", "ignore", "inherit"],
    });
    t.after(() => encoder.kill("SIGKILL"));
    const stop = () =>
      new Promise((done) => {
        encoder.once("exit", done);
        encoder.kill("SIGKILL");
      });
    return { stop };
  };
  return { host, publish };
}

const SOUND = ["-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000", "-af", "volume=6"];
const PICTURE = ["-re", "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=30"];
const H264 = ["-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-pix_fmt", "yuv420p", "-g", "30"];
const VIDEO = [...PICTURE, ...SOUND, ...H264, "-c:a", "aac"];

test("pages play what an encoder publishes, and go on by themselves when it comes back", options, async (t) => {
  const { host, publish } = await start(t);
  const pages = await openPages(browser.context, host.url, 2);
  const first = publish();
  await untilLive(pages, { timeout_ms: 40_000 });
  for (const page of pages) await untilPlaying(page);
  await first.stop();
  await pages[0].waitForTimeout(4_000);
  publish();
  for (const page of pages) await untilPlaying(page, { timeout_ms: 60_000 });
  for (const page of pages) {
    await until(page, "close to the live edge", ({ lag_ms }) => lag_ms < 4_000);
    assert.deepEqual(page.errors, []);
  }
});

test("an encoder with another picture and other sound goes on in the same page", options, async (t) => {
  const { host, publish } = await start(t);
  const [page] = await openPages(browser.context, host.url, 1);
  const first = publish();
  await untilLive([page], { timeout_ms: 40_000 });
  await untilPlaying(page);
  await first.stop();
  publish([...PICTURE.slice(0, -1), "testsrc2=size=426x240:rate=25", ...SOUND, ...H264, "-profile:v", "high", "-ar", "44100", "-c:a", "aac"]);
  await untilPlaying(page, { fps: 25, timeout_ms: 60_000 });
  const size = await page.evaluate(() => document.querySelector("peerstream-player").video.videoWidth);
  assert.equal(size, 426);
});

test("sound alone is heard", options, async (t) => {
  const { host, publish } = await start(t);
  const [page] = await openPages(browser.context, host.url, 1);
  publish(["-re", ...SOUND, "-c:a", "aac", "-b:a", "96k"]);
  await untilLive([page], { timeout_ms: 40_000 });
  const deadline = Date.now() + 30_000;
  for (;;) {
    const { advanced_s, elapsed_ms, loudness, peak_hz, error } = await watch(page);
    if (advanced_s > 0.0008 * elapsed_ms && loudness > 0.02 && Math.abs(peak_hz - 440) < 40 && error === null) break;
    assert.ok(Date.now() < deadline, `${advanced_s} s in ${elapsed_ms} ms, loudness ${loudness}, ${peak_hz} Hz, ${error}`);
  }
  assert.equal((await status(page)).figures.offences, 0);
});
