// Pages while the host's config changes, and pages before a host that does not let everybody in.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, test } from "node:test";

import { hasChromium, launch, openPages, status, untilLive } from "./browser.mjs";
import { binary, startDemo } from "./demo.mjs";

const missing = !binary ? "the host is not built: cargo build -p peerstream-host" : !hasChromium() && "no Chromium here";
const options = { skip: missing || false, timeout: 180_000 };
const PAGES = Number(process.env.PEERSTREAM_SWITCH_PAGES ?? 6);
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

/** A clip that costs next to nothing to decode; needs ffmpeg. */
function smallClip() {
  const clip = join(tmpdir(), "peerstream-small.mp4");
  const picture = ["-f", "lavfi", "-i", "testsrc=size=128x72:rate=10", "-c:v", "libx264", "-g", "10", "-bf", "0", "-pix_fmt", "yuv420p"];
  const sound = ["-f", "lavfi", "-i", "sine=frequency=440"];
  const form = ["-c:a", "aac", "-b:a", "32k", "-movflags", "frag_every_frame+empty_moov+default_base_moof"];
  const made = spawnSync("ffmpeg", ["-y", "-v", "error", ...picture.slice(0, 4), ...sound, ...picture.slice(4), ...form, "-t", "20", clip]);
  assert.equal(made.status, 0, String(made.stderr));
  return clip;
}

/** From now on the page counts how often its player has to wait, and remembers where it was. */
const mark = (page) =>
  page.evaluate(() => {
    const video = document.querySelector("peerstream-player").video;
    window.marked = { at: performance.now(), head: video.currentTime, waits: 0 };
    video.addEventListener("waiting", () => (window.marked.waits += 1));
  });

/** What has happened since. */
const sinceMark = (page) =>
  page.evaluate(() => {
    const video = document.querySelector("peerstream-player").video;
    const { at, head, waits } = window.marked;
    return { waits, played: (video.currentTime - head) / ((performance.now() - at) / 1000) };
  });

/** Pages play while one strategy follows another; what each has waited and played meanwhile. */
async function switchStrategies(t, strategies) {
  // Many pages that decode a real picture are more than two cores can do.
  const demo = await startDemo("", PAGES > 10 ? smallClip() : undefined);
  t.after(demo.close);
  const pages = await openPages(browser.context, demo.url, PAGES, { apart_ms: 400 });
  await untilLive(pages, { timeout_ms: 60_000 });
  await pages[0].waitForTimeout(5_000);
  const skipped = async () => (await Promise.all(pages.map(status))).map(({ figures }) => figures.skipped);
  const before = await skipped();
  await Promise.all(pages.map(mark));
  const strategy = async () => (await (await fetch(`${demo.url}api/v1/overlay`)).json()).strategy;
  for (const next of strategies) {
    await demo.configure(`[strategy]\nuse = "${next}"\n`);
    await pages[0].waitForTimeout(4_000);
    assert.equal(await strategy(), next);
  }
  assert.deepEqual(await skipped(), before);
  const seen = await Promise.all(pages.map(sinceMark));
  for (const { played } of seen) assert.ok(played > 0.9, `played ${played.toFixed(2)} s a second`);
  return seen;
}

test("another strategy takes over and nobody stalls", options, async (t) => {
  for (const { waits } of await switchStrategies(t, ["proximity", "dumbbell"])) assert.equal(waits, 0);
});

// Everybody gets other parents then, some of them further from the source: see docs/measuring.md.
test("striped takes over and gives back, nobody misses a segment and nobody waits twice", options, async (t) => {
  for (const { waits } of await switchStrategies(t, ["striped", "dumbbell"])) assert.ok(waits <= 1, `${waits} waits`);
});

test("a page does the work that a host sets, and plays", options, async (t) => {
  const demo = await startDemo('[admission]\nuse = "proof-of-work"\nconfig.bits = 14\n');
  t.after(demo.close);
  const { admission } = await (await fetch(`${demo.url}api/v1/stream`)).json();
  assert.equal(admission, "required");
  const pages = await openPages(browser.context, demo.url, 2);
  await untilLive(pages);
});

test("a page without the token that a host wants is told so", options, async (t) => {
  const secret = "0123456789abcdef0123456789abcdef";
  const demo = await startDemo(`[admission]\nuse = "token"\nconfig.secret = "${secret}"\n`);
  t.after(demo.close);
  const [page] = await openPages(browser.context, demo.url, 1);
  await page.waitForTimeout(3_000);
  const { state, detail } = await status(page);
  assert.notEqual(state, "live");
  assert.match(detail ?? "", /token|not let in|may not/i);
});
