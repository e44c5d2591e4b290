// A page goes live with its camera over WHIP, and another page watches.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { hasChromium, launch, openPages, status, until, untilPlaying } from "./browser.mjs";
import { binary, startServe } from "./demo.mjs";

const missing = !binary ? "the host is not built: cargo build -p peerstream-host" : !hasChromium() && "no Chromium here";
const options = { skip: missing || false, timeout: 120_000 };
const CONFIG = '[ingest.whip]\nuse = "whip"\nconfig.key = "let me in"\n[stun]\nenabled = false\n';
let host;
let browser;

before(async () => {
  if (missing) return;
  host = await startServe(CONFIG);
  // Chromium's own camera: a green picture that beeps once a second.
  browser = await launch({ flags: ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"] });
});

after(async () => {
  await browser?.close();
  await host?.close();
});

async function studio(key = "let me in") {
  const [page] = await openPages(browser.context, `${host.url}live`, 1);
  await page.getByRole("button", { name: "Camera" }).click();
  await page.getByLabel("Stream key").fill(key);
  await page.getByRole("button", { name: "Go live" }).click();
  return page;
}

const says = (page, pattern) => page.getByRole("status").filter({ hasText: pattern }).waitFor({ timeout: 20_000 });

const facts = async () => (await fetch(`${host.url}api/v1/stream`)).json();

async function untilState(state) {
  for (let tries = 0; tries < 200; tries += 1) {
    if ((await facts()).state === state) return;
    await new Promise((done) => setTimeout(done, 100));
  }
  assert.fail(`the stream is ${(await facts()).state}, not ${state}`);
}

test("who does not know the key is told so and is not on air", options, async () => {
  const page = await studio("let me out");
  await says(page, /key is missing or wrong/);
  assert.equal((await facts()).state, "waiting");
  await page.close();
});

test("a camera is seen by a page, which goes on when the streamer comes back", options, async () => {
  const first = await studio();
  await says(first, /You are live/);
  const [viewer] = await openPages(browser.context, host.url, 1);
  await until(viewer, "live", ({ state }) => state === "live");
  await untilPlaying(viewer, { sound: false, fps: 15, timeout_ms: 60_000 });
  assert.match((await facts()).mime, /^video\/mp4; codecs="avc1\.[0-9a-f]{6},opus"$/);

  const second = await studio();
  await says(second, /already on air/);
  await second.close();

  await first.getByRole("button", { name: "End" }).click();
  await untilState("away");
  await first.close();
  const third = await studio();
  await says(third, /You are live/);
  await untilPlaying(viewer, { sound: false, fps: 15, timeout_ms: 60_000 });
  assert.equal((await status(viewer)).figures.offences, 0);
  await third.close();
  await untilState("away");
});

test("what is no offer is refused with a reason", options, async () => {
  const post = (body, headers = {}) =>
    fetch(`${host.url}ingest/whip`, {
      method: "POST",
      headers: { "Content-Type": "application/sdp", Authorization: "Bearer let me in", ...headers },
      body,
    });
  assert.equal((await post("v=0")).status, 422);
  assert.equal((await post("v=0", { "Content-Type": "text/plain" })).status, 415);
  const garbage = "v=0\r\nm=video 9 UDP/TLS/RTP/SAVPF 102\r\na=rtpmap:102 H264/90000\r\n";
  assert.equal((await post(garbage)).status, 422);
  assert.equal((await post("x".repeat(100_000))).status, 413);
  assert.equal((await fetch(`${host.url}ingest/nobody`, { method: "POST" })).status, 404);
  assert.equal((await facts()).state, "away", "a failed offer leaves the air free");
});
