// Makes the pictures of player and dashboard for the README: a real demo, eight pages, and native viewers beside them.
//
//   cargo build --release && node tests/pictures.mjs
//
// Needs Chromium, and ffmpeg to make the files small.
import { spawn, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { crash, launch, openPages, untilLive } from "./browser.mjs";
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

const demo = await startDemo('[serve]\ntitle = "Friday night"\n[source]\nbudget_mbps = 4\n');
const browser = await launch({ viewport: { width: 1280, height: 900 } });
const native = [];
try {
  for (let index = 0; index < NATIVE; index += 1) {
    native.push(spawn(binary, ["watch", demo.url, "-o", "/dev/null"], { stdio: "ignore" }));
    await new Promise((done) => setTimeout(done, 250));
  }
  const pages = await openPages(browser.context, demo.url, PAGES, { apart_ms: 400 });
  await untilLive(pages, { timeout_ms: 90_000 });
  await pages[0].bringToFront();
  await pages[0].waitForTimeout(6_000);
  await picture(pages[0], "player");
  const [board] = await openPages(browser.context, demo.dashboard(), 1);
  await board.locator(".totals dd").first().waitFor();
  await board.waitForTimeout(14_000);
  await board.locator("canvas").focus();
  for (const key of ["ArrowUp", "ArrowDown", "ArrowDown"]) await board.keyboard.press(key);
  await board.evaluate(() => document.activeElement.blur());
  await crash(pages[5]);
  native[3]?.kill("SIGKILL");
  await board.bringToFront();
  await board.waitForTimeout(2_500);
  await picture(board, "dashboard");
  await board.emulateMedia({ colorScheme: "dark" });
  await board.setViewportSize({ width: 400, height: 860 });
  await board.waitForTimeout(1_500);
  await picture(board, "dashboard-phone");
} finally {
  native.forEach((viewer) => viewer.kill("SIGKILL"));
  await browser.close();
  await demo.close();
  rmSync(drafts, { recursive: true, force: true });
}
