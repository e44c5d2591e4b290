// Makes the pictures of player, dashboard and complaints for the README and the docs: a real host, eight pages, and native viewers beside them.
//
//   cargo build --release && node tests/pictures.mjs            all of them
//   node tests/pictures.mjs takedown                            some of them: player, dashboard, takedown
//
// Needs Chromium, ffmpeg, and a machine with nothing else to do: what is shown is what is measured.
import { spawn, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { launch, openPages, untilLive } from "./browser.mjs";
import { archive, binary, startDemo } from "./demo.mjs";

const PAGES = 8;
const NATIVE = Number(process.env.PEERSTREAM_PICTURE_VIEWERS ?? 22);
const CLIP = fileURLToPath(new URL("../../peerstream/assets/demo.mp4", import.meta.url));
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

/** The form, filled in, and the desk with the case that it became; a copy of the work matches. */
async function picturesOfTakedown(browser) {
  const desk = "staple of the desk";
  const shelf = archive(join(drafts, "archive"));
  const takedown = `[compliance.queue]\nuse = "queue"\n[takedown]\nfolder = "${join(drafts, "takedown")}"\npassword = "${desk}"\n`;
  const demo = await startDemo(`${CONFIG}${shelf}\n${takedown}`);
  try {
    const [viewer] = await openPages(browser.context, demo.url, 1);
    await untilLive([viewer], { timeout_ms: 60_000 });
    await pause(25_000);
    const [form] = await Promise.all([browser.context.waitForEvent("page"), viewer.getByRole("button", { name: "Report this moment" }).click()]);
    await form.getByLabel(/My copyright/).check();
    await form.getByLabel(/What it is called/).fill("The Demo Clip");
    await form.getByLabel("Whose it is", { exact: true }).fill("A. Author");
    await form.getByLabel(/^Your full legal name/).fill("A. Author");
    await form.getByRole("textbox", { name: "E-mail address" }).fill("a@author.example");
    await form.getByRole("textbox", { name: "Postal address" }).fill("1 Road, Town");
    await form.locator("#copy").setInputFiles(CLIP);
    for (const box of await form.locator(".boxes input").all()) await box.check();
    await form.getByLabel(/electronic signature/).fill("A. Author");
    await form.setViewportSize({ width: 900, height: 900 });
    await picture(form, "takedown-form", { fullPage: true });
    await form.getByRole("button", { name: "Send the report" }).click();
    await form.getByRole("heading", { name: "The report has been received" }).waitFor();
    const [page] = await openPages(browser.context, `${demo.url}takedown/queue`, 1);
    await page.getByLabel(/password/).fill(desk);
    await page.getByRole("button", { name: "Log in" }).click();
    for (let tries = 0; tries < 60 && !(await page.locator("td .match").isVisible()); tries += 1) {
      await pause(2_000);
      await page.keyboard.press("g");
    }
    await page.locator("tbody button").first().click();
    await page.waitForFunction(() => document.querySelector(".excerpt video")?.readyState >= 2);
    await page.evaluate(() => (document.querySelector(".excerpt video").currentTime = 5));
    await pause(1_500);
    await picture(page, "takedown-queue");
  } finally {
    await demo.close();
  }
}

const ALL = { player: pictureOfPlayer, dashboard: picturesOfDashboard, takedown: picturesOfTakedown };
const wanted = process.argv.slice(2);
const browser = await launch({ viewport: { width: 1280, height: 900 } });
try {
  for (const [name, take] of Object.entries(ALL)) if (wanted.length === 0 || wanted.includes(name)) await take(browser);
} finally {
  await browser.close();
  rmSync(drafts, { recursive: true, force: true });
}
