// Makes the pictures of player and dashboard for the README: a real host, eight pages, and native viewers beside them.
//
//   cargo build --release && node tests/pictures.mjs
//
// Needs Chromium, ffmpeg, and a machine with nothing else to do: what is shown is what is measured.
import { spawn, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { launch, openPages, untilLive } from "./browser.mjs";
import { binary, startDemo } from "./demo.mjs";

const PAGES = 8;
const NATIVE = Number(process.env.PEERSTREAM_PICTURE_VIEWERS ?? 22);
const pictures = fileURLToPath(new URL("../../../docs/pictures", import.meta.url));
const drafts = mkdtempSync(join(tmpdir(), "peerstream-pictures-"));
mkdirSync(pictures, { recursive: true });

/** Takes a picture and keeps it small. */
async function picture(page, name, options = {}) {
  const draft = join(drafts, `${name}.png`);
  await page.bringToFront();
  await page.screenshot({ path: draft, ...options });
  const file = join(pictures, `${name}.webp`);
  const { status, stderr } = spawnSync("ffmpeg", ["-y", "-v", "error", "-i", draft, "-quality", "82", file]);
  if (status !== 0) throw new Error(String(stderr));
  console.log(file);
}

/** A clip that many pages can decode at once. */
function smallClip() {
  const clip = join(drafts, "clip.mp4");
  const source = ["-f", "lavfi", "-i", "testsrc2=size=320x180:rate=15", "-f", "lavfi", "-i", "sine=frequency=440"];
  const picture = ["-c:v", "libx264", "-g", "15", "-bf", "0", "-b:v", "250k", "-pix_fmt", "yuv420p"];
  const form = ["-c:a", "aac", "-b:a", "32k", "-movflags", "frag_every_frame+empty_moov+default_base_moof", "-t", "30", clip];
  const { status, stderr } = spawnSync("ffmpeg", ["-y", "-v", "error", ...source, ...picture, ...form]);
  if (status !== 0) throw new Error(String(stderr));
  return clip;
}

const pause = (ms) => new Promise((done) => setTimeout(done, ms));
const CONFIG = '[serve]\ntitle = "Friday night"\n[stun]\nenabled = false\n';

/** The player, in the second of three pages. */
async function pictureOfPlayer(browser) {
  const demo = await startDemo(CONFIG);
  try {
    const pages = await openPages(browser.context, demo.url, 3, { apart_ms: 500 });
    await untilLive(pages, { timeout_ms: 60_000 });
    await pages[1].bringToFront();
    await pause(6_000);
    await picture(pages[1], "player");
    for (const page of pages) await page.close();
  } finally {
    await demo.close();
  }
}

/** The dashboard while two viewers have just crashed, and on a phone. */
async function picturesOfDashboard(browser) {
  const demo = await startDemo(CONFIG, smallClip());
  const native = [];
  try {
    for (let index = 0; index < NATIVE; index += 1) {
      native.push(spawn(binary, ["watch", demo.url, "-o", "/dev/null"], { stdio: "ignore" }));
      await pause(300);
    }
    const pages = await openPages(browser.context, demo.url, PAGES, { apart_ms: 500 });
    await untilLive(pages, { timeout_ms: 90_000 });
    const [board] = await openPages(browser.context, demo.dashboard(), 1);
    await board.bringToFront();
    await board.locator(".totals dd").first().waitFor();
    await pause(65_000);
    await board.locator("canvas").focus();
    for (const key of ["ArrowUp", "ArrowDown", "ArrowDown"]) await board.keyboard.press(key);
    await board.evaluate(() => (document.activeElement.blur(), scrollTo(0, 0)));
    native.slice(3, 5).forEach((viewer) => viewer.kill("SIGKILL"));
    await pause(3_000);
    await picture(board, "dashboard");
    await board.emulateMedia({ colorScheme: "dark" });
    await board.setViewportSize({ width: 400, height: 1_120 });
    await board.evaluate(() => scrollTo(0, 0));
    await pause(1_500);
    await picture(board, "dashboard-phone");
  } finally {
    native.forEach((viewer) => viewer.kill("SIGKILL"));
    await demo.close();
  }
}

const browser = await launch({ viewport: { width: 1280, height: 900 } });
try {
  await pictureOfPlayer(browser);
  await picturesOfDashboard(browser);
} finally {
  await browser.close();
  rmSync(drafts, { recursive: true, force: true });
}
