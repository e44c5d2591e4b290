// What a page shows when the broadcast is over, before a real host that has recorded it.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, test } from "node:test";
import { fileURLToPath } from "node:url";

import { hasChromium, launch, openPages, status, until, untilLive } from "./browser.mjs";
import { archive, binary, readsBack, startOnce } from "./demo.mjs";

const missing = !binary ? "the host is not built: cargo build -p peerstream-host" : !hasChromium() && "no Chromium here";
const unread = missing || (!readsBack() && "no archive of this host can be read back");
const options = { skip: unread || false, timeout: 180_000 };
const AXE = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const CLIP = fileURLToPath(new URL("../../peerstream/assets/demo.mp4", import.meta.url));

let browser;
let folder;
let host;

before(async () => {
  if (unread) return;
  folder = await mkdtemp(join(tmpdir(), "peerstream-end-"));
  execFileSync("ffmpeg", ["-v", "error", "-stream_loop", "1", "-i", CLIP, "-c", "copy", "-movflags", "+frag_keyframe+empty_moov+default_base_moof", film()]);
  browser = await launch();
});

afterEach(async () => {
  for (const page of browser?.context.pages() ?? []) await page.close({ runBeforeUnload: false });
  await host?.close();
});

after(async () => {
  await browser?.close();
  if (folder) await rm(folder, { recursive: true, force: true });
});

/** Half a minute: long enough for a slow machine to be there before the end. */
const film = () => join(folder, "film.mp4");
const isIn = (state) => (now) => now.state === state;
const head = (page) => page.evaluate(() => document.querySelector("peerstream-player").video.currentTime);

/** Waits until the recording runs. */
async function untilRuns(page) {
  await until(page, "in the recording", isIn("recording"), { timeout_ms: 60_000 });
  await page.waitForFunction(() => document.querySelector("peerstream-player").video.currentTime > 1, undefined, { timeout: 30_000 });
  const began = await head(page);
  await page.waitForFunction((began) => document.querySelector("peerstream-player").video.currentTime > began + 0.5, began, { timeout: 30_000 });
}

async function faults(page) {
  await page.evaluate(AXE);
  const { violations } = await page.evaluate(() => globalThis.axe.run());
  return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ target }) => target.join(" ")).join(", ")}`);
}

test("who has watched is offered the recording, who comes after the end gets it, and a new broadcast is for the viewer to choose", options, async () => {
  host = await startOnce(archive(join(folder, "archive")), film());
  const [viewer] = await openPages(browser.context, host.url, 1);
  await untilLive([viewer]);
  await until(viewer, "at the end", isIn("ended"), { timeout_ms: 60_000 });
  await viewer.getByText("The broadcast has ended").first().waitFor();
  const again = viewer.getByRole("button", { name: "Watch again" });
  await again.waitFor({ timeout: 40_000 });
  await viewer.waitForTimeout(1_000);
  assert.equal((await status(viewer)).state, "ended", "nothing begins that was not asked for");
  assert.deepEqual(await faults(viewer), []);
  await again.click();
  await untilRuns(viewer);
  assert.ok((await head(viewer)) < 12, "from its beginning");
  assert.equal(await again.isVisible(), false);
  assert.deepEqual(await faults(viewer), []);
  await viewer.locator("peerstream-player .screen").focus();
  await viewer.keyboard.press("k");
  await viewer.waitForFunction(() => document.querySelector("peerstream-player").video.paused);

  const [late] = await openPages(browser.context, host.url, 1);
  await untilRuns(late);
  await host.restart();
  const watch = late.getByRole("button", { name: "Watch live" });
  await watch.waitFor({ timeout: 40_000 });
  assert.equal((await status(late)).state, "recording", "it is not taken away");
  await watch.click();
  await untilLive([late], { timeout_ms: 30_000 });
  await viewer.getByRole("button", { name: "Watch live" }).waitFor({ timeout: 60_000 });
  assert.equal((await status(viewer)).state, "recording");
});

test("without a recording the end is the end", options, async () => {
  host = await startOnce("", film());
  const [viewer] = await openPages(browser.context, host.url, 1);
  await until(viewer, "at the end", isIn("ended"), { timeout_ms: 60_000 });
  await viewer.waitForTimeout(4_000);
  assert.equal(await viewer.getByRole("button", { name: "Watch again" }).isVisible(), false);
  assert.equal((await status(viewer)).state, "ended");
});
