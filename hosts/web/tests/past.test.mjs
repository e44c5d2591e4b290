// Going back in time with real pages before the real host: what they see comes from what they kept, from other pages, and at last from the host.
import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";

import { hasChromium, launch, openPages, status, until, untilLive, untilPlaying } from "./browser.mjs";
import { binary, startDemo } from "./demo.mjs";

const missing = !binary ? "the host is not built: cargo build -p peerstream-host" : !hasChromium() && "no Chromium here";
const options = { skip: missing || false, timeout: 180_000 };
let demo;
let browser;

before(async () => {
  if (missing) return;
  demo = await startDemo();
  browser = await launch();
});

afterEach(async () => {
  for (const page of browser?.context.pages() ?? []) await page.close({ runBeforeUnload: false });
});

after(async () => {
  await browser?.close();
  await demo?.close();
});

const element = (page, act) => page.evaluate(act);
const back = (page, seconds) => page.evaluate((seconds) => document.querySelector("peerstream-player").goBack(seconds), seconds);
const live = (page) => element(page, () => document.querySelector("peerstream-player").returnToLive());

/** A page that is so many seconds back, plays there, and goes on taking in what is live. */
async function untilBack(page, seconds) {
  const there = ({ behind_ms }) => behind_ms !== null && Math.abs(behind_ms / 1000 - seconds) < 6;
  await until(page, `${seconds} s back`, ({ state, ...now }) => state === "live" && there(now), { timeout_ms: 40_000 });
  await untilPlaying(page);
  const { figures } = await status(page);
  await until(page, "taking in what is live", (now) => now.figures.next > figures.next + 5);
  return status(page);
}

/** A page that plays close to the live edge. */
async function untilAtTheEdge(page) {
  await until(page, "back at the edge", ({ behind_ms, lag_ms }) => behind_ms === null && lag_ms > 0 && lag_ms < 5_000);
  await untilPlaying(page);
}

test("a viewer goes twenty seconds back by keyboard to what the page has kept, and returns", options, async () => {
  const [page] = await openPages(browser.context, demo.url, 1);
  await untilLive([page]);
  await until(page, "keeping 25 s", ({ kept_ms }) => kept_ms > 22_000, { timeout_ms: 60_000 });
  const screen = page.locator("peerstream-player").locator("[part=screen]");
  await screen.focus();
  await page.keyboard.press("ArrowLeft");
  await page.keyboard.press("ArrowLeft");
  const there = await untilBack(page, 20);
  assert.equal(there.past_from_peers + there.past_from_host, 0);
  const slider = page.locator("peerstream-player").locator("[part=scrubber]");
  assert.match(await slider.getAttribute("aria-valuetext"), /s behind live/);
  await page.keyboard.press("ArrowRight");
  await untilBack(page, 10);
  await page.keyboard.press("l");
  await untilAtTheEdge(page);
  assert.equal(await slider.getAttribute("aria-valuetext"), "Live");
  assert.deepEqual(page.errors, []);
});

test("without an archive a latecomer sees what other pages have kept", options, async () => {
  const early = await openPages(browser.context, demo.url, 2);
  await untilLive(early);
  for (const page of early) await until(page, "keeping 20 s", ({ kept_ms }) => kept_ms > 18_000, { timeout_ms: 60_000 });
  const [late] = await openPages(browser.context, demo.url, 1);
  await untilLive([late]);
  await back(late, 16);
  const there = await untilBack(late, 16);
  assert.ok(there.past_from_peers > 100_000, `${there.past_from_peers} bytes from pages`);
  assert.equal(there.past_from_host, 0);
  assert.ok(there.keepers > 0);
  const sent = await Promise.all(early.map(status));
  assert.ok(sent.reduce((sum, { past_sent }) => sum + past_sent, 0) > 100_000);
  const bundle = await element(late, async () => {
    const player = document.querySelector("peerstream-player");
    const at = player.video.currentTime;
    const blob = await player.evidence(at - 1, at + 1);
    return blob ? [...new Uint8Array(await blob.arrayBuffer()).subarray(0, 8)] : null;
  });
  assert.equal(String.fromCharCode(...bundle), "PSbundle");
  await live(late);
  await untilAtTheEdge(late);
  for (const page of [...early, late]) assert.deepEqual(page.errors, []);
});
