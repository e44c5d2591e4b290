// Complaints from the form to the hidden range, before a real host with real pages, an archive, a copy of the work and a platform's own workflow.
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, test } from "node:test";
import { fileURLToPath } from "node:url";

import { hasChromium, launch, openPages, untilLive } from "./browser.mjs";
import { archive, binary, readsBack, said, startDemo } from "./demo.mjs";
import { hasMailbox, startMailbox } from "./mailbox.mjs";
import { lengthOf, partsOf } from "./playlist.mjs";

const missing = !binary ? "the host is not built: cargo build -p peerstream-host" : !hasChromium() && "no Chromium here";
const options = { skip: missing || false, timeout: 240_000 };
const withEvidence = { ...options, skip: missing || (!readsBack() && "no archive of this host can be read back") };
const withMail = { ...options, skip: missing || (!hasMailbox() && !process.env.PEERSTREAM_REQUIRE_TOOLS && "no python3-aiosmtpd here") };
const AXE = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const CLIP = fileURLToPath(new URL("../../peerstream/assets/demo.mp4", import.meta.url));
const PLATFORM = fileURLToPath(new URL("../../../examples/takedown-webhook/platform.mjs", import.meta.url));
const DASHBOARD = "correct horse battery";
const DESK = "staple of the desk";
const SECRET = "a secret of the platform";

let browser;
let folder;
let platform;
let demo;

before(async () => {
  if (missing) return;
  folder = await mkdtemp(join(tmpdir(), "peerstream-takedown-"));
  const env = { ...process.env, PEERSTREAM_WEBHOOK_SECRET: SECRET, PEERSTREAM_WEBHOOK_LOG: join(folder, "cases.jsonl"), PEERSTREAM_WEBHOOK_TRUSTED: "legal@label.example" };
  platform = spawn("node", [PLATFORM, "0"], { env, stdio: ["ignore", "pipe", "pipe"] });
  const [, hook] = await said(platform, /at (http\S+)/);
  demo = await startDemo(`
${archive(join(folder, "archive"))}
[compliance.a-platform]
use = "webhook"
config = { url = "${hook}", secret = "${SECRET}" }
[compliance.b-queue]
use = "queue"
[dashboard]
password = "${DASHBOARD}"
[takedown]
folder = "${join(folder, "takedown")}"
password = "${DESK}"
puzzle_bits = 10
[takedown.agent]
name = "The Agent"
email = "agent@example.org"
`);
  browser = await launch({ acceptDownloads: true });
});

afterEach(async () => {
  await browser?.context.clearCookies();
  for (const page of browser?.context.pages() ?? []) await page.close({ runBeforeUnload: false });
});

after(async () => {
  await browser?.close();
  await demo?.close();
  platform?.kill();
  if (folder) await rm(folder, { recursive: true, force: true });
});

async function open(path) {
  const [page] = await openPages(browser.context, `${demo.url}${path}`, 1);
  return page;
}

async function faults(page) {
  await page.evaluate(AXE);
  const { violations } = await page.evaluate(() => globalThis.axe.run());
  return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ target }) => target.join(" ")).join(", ")}`);
}

/** Opens the desk and one case on it, in whatever state. */
async function openCase(number) {
  const desk = await open("takedown/queue");
  await desk.getByLabel(/password/).fill(DESK);
  await desk.getByRole("button", { name: "Log in" }).click();
  await desk.locator(".by-state").selectOption("");
  await desk.locator(`tr[data-case="${number}"] button`).click();
  await desk.locator("#case-title", { hasText: `Case ${number}:` }).waitFor();
  return desk;
}

/** Opens the case anew until it shows this. */
async function untilShown(desk, number, selector, hasText) {
  for (let tries = 0; tries < 120; tries += 1) {
    if (await desk.locator(selector, { hasText }).first().isVisible()) return;
    await desk.waitForTimeout(500);
    await desk.locator(`tr[data-case="${number}"] button`).click();
    if (tries % 4 === 3) await desk.locator("h1").click().then(() => desk.keyboard.press("g"));
  }
  throw new Error(`${selector} never shows ${hasText}: ${await desk.locator(".case").innerText()}`);
}

async function whole(desk, number) {
  return desk.evaluate(async (id) => (await (await fetch(`/api/v1/takedown/desk/cases/${id}`)).json()).case, number);
}

async function saved(page, click) {
  const [download] = await Promise.all([page.waitForEvent("download"), click()]);
  const path = join(folder, download.suggestedFilename());
  await download.saveAs(path);
  return path;
}

async function receiptOf(page) {
  await page.getByRole("heading", { name: "The report has been received" }).waitFor();
  const path = await saved(page, () => page.getByRole("button", { name: "Download the receipt" }).click());
  return { path, number: JSON.parse(await readFile(path, "utf8")).case };
}

const verify = (path) => execFileSync(binary, ["takedown", "verify", path], { encoding: "utf8" });

async function sign(page, { email = "a@author.example" } = {}) {
  await page.getByLabel(/What it is called/).fill("The Demo Clip");
  await page.getByLabel(/^Your full legal name/).fill("A. Author");
  await page.getByRole("textbox", { name: "E-mail address" }).fill(email);
  await page.getByRole("textbox", { name: "Postal address" }).fill("1 Road, Town");
  for (const box of await page.locator(".boxes input").all()) await box.check();
  await page.getByLabel(/electronic signature/).fill("a. author");
}

test("a DMCA notice from the player's moment to the hidden range, with a copy that matches, and back by a counter-notice", withEvidence, async () => {
  const viewer = await open("");
  await untilLive([viewer], { timeout_ms: 60_000 });
  // Enough for a stretch that can be compared.
  await viewer.waitForFunction(() => document.querySelector("peerstream-player").video.currentTime > 16, undefined, { timeout: 90_000 });
  const [form] = await Promise.all([browser.context.waitForEvent("page"), viewer.getByRole("button", { name: "Report this moment" }).click()]);
  await form.getByLabel(/My copyright/).check();
  assert.match(await form.getByLabel("Until", { exact: true }).inputValue(), /^\d+:\d\d/);
  assert.equal(await form.locator(".segments").isVisible(), true);
  assert.match(await form.locator(".boxes").innerText(), /I declare under penalty of perjury under the laws of the United States of America/);
  assert.deepEqual(await faults(form), []);
  await sign(form);
  await form.locator("#copy").setInputFiles(CLIP);
  await form.getByRole("button", { name: "Send the report" }).click();
  const receipt = await receiptOf(form);
  verify(receipt.path);

  const desk = await openCase(receipt.number);
  await untilShown(desk, receipt.number, ".facts dd", /^matches\./);
  const video = desk.locator(".excerpt video");
  await video.waitFor();
  await desk.waitForFunction(() => document.querySelector(".excerpt video")?.readyState >= 2);
  assert.deepEqual(await faults(desk), []);
  const bundle = await saved(desk, () => desk.getByRole("link", { name: "Evidence bundle" }).click());
  verify(bundle);
  const bytes = await readFile(bundle);
  bytes[bytes.length >> 1] ^= 1;
  await writeFile(bundle, bytes);
  assert.throws(() => verify(bundle), "one bit was changed");
  await desk.locator(".case").focus();
  await desk.keyboard.press("a");
  await desk.getByLabel(/Why, for the log/).fill("it is the clip");
  await desk.locator("dialog.order").getByRole("button", { name: "Accept and act" }).click();
  await untilShown(desk, receipt.number, "#case-title", /: Done/);
  const hidden = async () => (await whole(desk, receipt.number)).done.find(({ action }) => action.action === "hide-range");
  assert.ok((await hidden()).hidden && (await hidden()).standing === "stands", JSON.stringify(await hidden()));

  const streamer = await open("takedown/counter");
  await streamer.getByLabel(/dashboard’s password/).fill(DASHBOARD);
  await streamer.getByRole("button", { name: "Log in" }).click();
  await streamer.getByRole("region", { name: `Case ${receipt.number}` }).getByRole("button", { name: "Object" }).click();
  assert.deepEqual(await faults(streamer), []);
  await streamer.getByLabel(/Why it was a mistake/).fill("The clip is mine.");
  await streamer.getByLabel(/^Your full legal name/).fill("S. Streamer");
  await streamer.getByRole("textbox", { name: "E-mail address" }).fill("s@streamer.example");
  await streamer.getByRole("textbox", { name: "Postal address" }).fill("2 Road, Town");
  await streamer.getByLabel("Telephone number").fill("555");
  for (const box of await streamer.locator(".boxes input").all()) await box.check();
  await streamer.getByLabel(/^Signature/).fill("S. Streamer");
  await streamer.getByRole("button", { name: "Send the objection" }).click();
  await streamer.getByText("You have objected").waitFor();

  await form.bringToFront();
  await form.getByRole("link", { name: "Follow what becomes of it" }).click();
  await form.getByRole("heading", { name: /The streamer has objected/ }).waitFor();
  await form.getByText("The clip is mine.").waitFor();
  await desk.bringToFront();
  await untilShown(desk, receipt.number, "#case-title", /objected/);
  await desk.locator(".case").focus();
  await desk.keyboard.press("s");
  await desk.getByLabel(/Why, for the log/).fill("both agree");
  await desk.locator("dialog.order").getByRole("button", { name: "Restore" }).click();
  await untilShown(desk, receipt.number, "#case-title", /Restored/);
  for (let tries = 0; (await hidden()).standing !== "undone"; tries += 1) {
    assert.ok(tries < 60, "what was hidden stays hidden");
    await desk.waitForTimeout(500);
  }
});

test("a DSA notice in words only, asked about, completed, and acted upon", options, async () => {
  const form = await open("takedown");
  await form.getByLabel(/Illegal content/).check();
  await form.getByLabel(/Why it is illegal/).fill("Hate speech, section 130 of the criminal code. =HYPERLINK(\"http://x\") <b>bold</b>");
  await form.getByLabel(/Where it is, in words/).fill("in the first minute");
  await form.getByLabel(/^Your full legal name/).fill("C. Citizen");
  await form.getByRole("textbox", { name: "E-mail address" }).fill("c@citizen.example");
  await form.getByRole("button", { name: "Send the report" }).click();
  await form.locator(".missing li").first().waitFor();
  await form.getByRole("button", { name: "Send it as it is" }).click();
  const receipt = await receiptOf(form);
  await form.getByRole("link", { name: "Follow what becomes of it" }).click();
  await form.getByRole("heading", { name: /Something is missing/ }).waitFor({ timeout: 60_000 }).catch(async () => {
    await form.reload();
    await form.getByRole("heading", { name: /Something is missing/ }).waitFor();
  });
  await form.getByRole("link", { name: "Complete the report" }).click();
  await form.getByRole("heading", { name: `Complete the report ${receipt.number}` }).waitFor();
  assert.match(await form.getByLabel(/Why it is illegal/).inputValue(), /^Hate speech/, "what was written is still there");
  await form.locator(".boxes input").check();
  await form.getByRole("button", { name: "Send the completed report" }).click();
  await form.getByRole("heading", { name: "The report has been received" }).waitFor();

  const desk = await openCase(receipt.number);
  await untilShown(desk, receipt.number, "#case-title", /Waits for you/);
  await desk.locator(".claimed dd", { hasText: "<b>bold</b>" }).waitFor();
  await desk.locator(".case").focus();
  await desk.keyboard.press("a");
  const dialog = desk.locator("dialog.order");
  await dialog.getByLabel(/Hide this part/).check();
  await dialog.getByLabel("From").fill("0:01");
  await dialog.getByLabel("Until").fill("0:04");
  await dialog.getByLabel(/Why, for the log/).fill("section 130");
  await dialog.getByRole("button", { name: "Accept and act" }).click();
  await untilShown(desk, receipt.number, "#case-title", /: Done/);
  const { done } = await whole(desk, receipt.number);
  assert.ok(done.some(({ action, hidden }) => action.action === "hide-range" && hidden), JSON.stringify(done));
});

/** The recording on air once so many seconds of it are to be had: its page's address, and when the broadcast was at a second of it. */
async function recordingOf(seconds) {
  for (let tries = 0; tries < 300; tries += 1) {
    const live = (await (await fetch(`${demo.url}api/v1/recordings`)).json()).find((one) => one.live);
    const playlist = live ? await (await fetch(`${demo.url}${live.hls}`)).text() : "";
    const parts = partsOf(playlist);
    if (lengthOf(parts) > seconds) return { address: `recordings/${live.id}`, broadcastMs: (at) => broadcastMs(parts, at) };
    await new Promise((done) => setTimeout(done, 200));
  }
  throw new Error("nothing is recorded");
}

/** By the parts' dates: a source that pauses, as on a machine with too much to do, has a broadcast longer than its recording. */
function broadcastMs(parts, seconds) {
  const part = parts.find(({ start, length }) => seconds < start + length);
  if (!part) throw new Error(`nothing is recorded at ${seconds} s`);
  return part.date - parts[0].date + (seconds - part.start) * 1000;
}

/** A time as the form writes it: to a tenth of a second. */
function clock(ms) {
  const tenths = Math.round(ms / 100);
  return `${Math.floor(tenths / 600)}:${String(Math.floor(tenths / 10) % 60).padStart(2, "0")}${tenths % 10 ? `.${tenths % 10}` : ""}`;
}

test("a part is picked on a recording by hand and by keyboard, played, and handed to the form, which goes on with it", withEvidence, async () => {
  const { address, broadcastMs } = await recordingOf(12);
  const page = await open(address);
  const video = page.locator("video");
  await page.waitForFunction(() => document.querySelector("video").duration > 12 && document.querySelector("video").readyState >= 2);
  const opener = page.getByRole("button", { name: "Report a part" });
  await opener.click();
  assert.equal(await opener.getAttribute("aria-expanded"), "true");
  const at = async (seconds, button) => {
    await video.evaluate((video, seconds) => (video.currentTime = seconds), seconds);
    await page.getByRole("button", { name: button }).click();
  };
  await at(3, "From here");
  await at(5, "To here");
  const picked = page.locator(".picked");
  assert.match(await picked.innerText(), /^From 0:03 until 0:05 of the recording, 2 seconds/);
  const [begin, end] = ["Beginning of the part", "End of the part"].map((name) => page.getByRole("slider", { name }));
  await end.focus();
  await page.keyboard.press("ArrowRight");
  assert.equal(await end.getAttribute("aria-valuetext"), "6 seconds");
  await begin.focus();
  await page.keyboard.press("Shift+ArrowRight");
  assert.equal(await begin.getAttribute("aria-valuetext"), "3.1 seconds");
  await page.keyboard.press("PageUp");
  assert.match(await picked.innerText(), /^From 0:13.* until 0:13/, "the end gives way");
  await page.keyboard.press("PageDown");
  await at(6, "To here");
  assert.deepEqual(await faults(page), []);
  await page.getByRole("button", { name: "Play this part" }).click();
  await page.waitForFunction(() => document.querySelector("video").paused && document.querySelector("video").currentTime >= 6, undefined, { timeout: 30_000 });
  assert.ok((await video.evaluate((video) => video.currentTime)) < 8, "it stops at the end of the part");

  const [form] = await Promise.all([browser.context.waitForEvent("page"), page.getByRole("link", { name: "Report this part" }).click()]);
  await form.getByLabel(/Illegal content/).check();
  const from = form.getByLabel("From", { exact: true });
  const until = form.getByLabel("Until", { exact: true });
  assert.deepEqual([await from.inputValue(), await until.inputValue()], [clock(broadcastMs(3.1)), clock(broadcastMs(6))]);
  assert.match(await form.locator(".segments").innerText(), /which signed segments these are: \d+ to \d+/);
  await form.getByRole("button", { name: "Pick the part on the recording" }).click();
  await form.waitForFunction(() => document.querySelector(".player video")?.duration > 12);
  const last = form.getByRole("slider", { name: "End of the part" });
  await form.waitForFunction(() => document.querySelector(".picker input.to")?.getAttribute("aria-valuetext") === "6 seconds");
  await last.focus();
  await form.keyboard.press("ArrowRight");
  assert.equal(await until.inputValue(), clock(broadcastMs(7)));
  await until.fill(clock(broadcastMs(8)));
  assert.equal(await last.getAttribute("aria-valuetext"), "8 seconds", "the fields move the handles");
  assert.equal(await form.locator(".segments").isVisible(), false);
  assert.deepEqual(await faults(form), []);
  await last.focus();
  await form.keyboard.press("ArrowLeft");
  await form.getByLabel(/Why it is illegal/).fill("It is against a law.");
  await form.getByLabel(/^Your full legal name/).fill("C. Citizen");
  await form.getByRole("textbox", { name: "E-mail address" }).fill("picker@citizen.example");
  for (const box of await form.locator(".boxes input").all()) await box.check();
  await form.getByRole("button", { name: "Send the report" }).click();
  if (await form.getByRole("button", { name: "Send it as it is" }).isVisible()) await form.getByRole("button", { name: "Send it as it is" }).click();
  const receipt = await receiptOf(form);
  const desk = await openCase(receipt.number);
  const { material } = (await whole(desk, receipt.number)).notice;
  assert.deepEqual([clock(material.from_ms), clock(material.to_ms)], [clock(broadcastMs(3.1)), clock(broadcastMs(7))]);
  assert.ok(material.first_seq < material.end_seq, JSON.stringify(material));
});

test("an address that names no range fills in nothing", options, async () => {
  const form = await open("takedown?epoch=%3Cb%3E&from_ms=5000&to_ms=1000&first_seq=1&end_seq=99999999999");
  await form.getByLabel(/Illegal content/).check();
  for (const name of ["From", "Until"]) assert.equal(await form.getByLabel(name, { exact: true }).inputValue(), "");
  assert.equal(await form.locator(".segments").isVisible(), false);
});

test("a platform's own workflow acts by itself on a notice of somebody it trusts", options, async () => {
  const form = await open("takedown");
  await form.getByLabel(/My copyright/).check();
  await form.getByLabel("From", { exact: true }).fill("0:05");
  await form.getByLabel("Until", { exact: true }).fill("0:08");
  await sign(form, { email: "legal@label.example" });
  await form.getByRole("button", { name: "Send the report" }).click();
  const receipt = await receiptOf(form);
  const desk = await openCase(receipt.number);
  await untilShown(desk, receipt.number, "#case-title", /: Done/);
  const log = (await readFile(join(folder, "cases.jsonl"), "utf8")).trim().split("\n").map((line) => JSON.parse(line));
  const decided = log.find(({ delivery }) => delivery?.startsWith(`case-${receipt.number}-`));
  assert.equal(decided.decision.decision, "act");
  assert.ok(log.some(({ news }) => news?.case.id === receipt.number && news.transition.to === "actioned"), "the platform heard of it");
});

/** A host that confirms addresses by mail, whose links lead to itself. */
async function startWithMail(port, name = "mailed") {
  const config = (url) => `
[compliance.queue]
use = "queue"
[takedown]
folder = "${join(folder, name)}"
password = "${DESK}"
puzzle_bits = 4
confirmation = "mail"
smtp = "smtp://127.0.0.1:${port}"
mail_from = "PeerStream <live@example.org>"
url = "${url}"
`;
  const host = await startDemo(config("http://127.0.0.1"));
  await host.configure(config(new URL(host.url).origin));
  await host.restart();
  const cases = async () => {
    const answer = await fetch(`${host.url}api/v1/takedown/desk/cases`, { headers: { authorization: `Bearer ${DESK}` } });
    return (await answer.json()).cases.map(({ case: number, state }) => [number, state]);
  };
  return { ...host, cases };
}

/** Fills in and sends a report; the page asks to look into the mail. */
async function report(context, host, email) {
  const [form] = await openPages(context, `${host.url}takedown`, 1);
  await form.getByLabel(/My copyright/).check();
  await form.getByLabel("From", { exact: true }).fill("0:01");
  await form.getByLabel("Until", { exact: true }).fill("0:03");
  await sign(form, { email });
  await form.getByRole("button", { name: "Send the report" }).click();
  await form.getByRole("heading", { name: "One more step: look into your mail" }).waitFor();
  return form;
}

async function follow(context, link) {
  const [page] = await openPages(context, link, 1);
  await page.getByRole("button", { name: /confirm it/ }).waitFor();
  return page;
}

async function confirms(page) {
  await page.getByRole("button", { name: /confirm it/ }).click();
  await page.getByRole("heading", { name: "The report has been received" }).waitFor();
}

async function isRefused(page) {
  await page.getByRole("button", { name: /confirm it/ }).click();
  await page.getByText("This link was used already, or is too old.").waitFor();
  assert.equal(await page.getByRole("heading", { name: "The report has been received" }).isVisible(), false);
}

test("a report is received by the mail's link, once, and nobody else's link moves it", withMail, async (t) => {
  const mailbox = await startMailbox();
  const host = await startWithMail(mailbox.port);
  const stranger = await launch();
  t.after(async () => {
    await stranger.close();
    await host.close();
    mailbox.close();
  });
  const linkTo = async (to) => /^http\S+\/takedown\/confirm#[0-9a-f]{64}$/m.exec((await mailbox.mail(to, "Please confirm your notice")).text)[0];
  await report(browser.context, host, "a@author.example");
  await report(stranger.context, host, "b@stranger.example");
  const [link, other] = [await linkTo("a@author.example"), await linkTo("b@stranger.example")];
  assert.ok(link.startsWith(host.url) && link !== other, `${link} ${other}`);

  await isRefused(await follow(browser.context, `${host.url}takedown/confirm#${"0".repeat(64)}`));
  const cut = await follow(browser.context, link.slice(0, -1));
  await isRefused(cut);
  const page = await follow(browser.context, link);
  assert.deepEqual(await faults(page), []);
  assert.equal(new URL(page.url()).hash, "", "the link does not stay in the history");
  assert.deepEqual(await host.cases(), [], "opening a link confirms nothing");
  await confirms(page);
  assert.deepEqual((await host.cases()).map(([number]) => number), [1]);
  assert.equal(await page.locator(".done-case").innerText(), "1");
  await mailbox.mail("a@author.example", "Notice 1 has come in");

  const again = await follow(stranger.context, link);
  await isRefused(again);
  assert.equal((await host.cases()).length, 1, "a link is good once");

  const [kept] = await again.evaluate(() => JSON.parse(localStorage.getItem("peerstream-reports")));
  const [status] = await openPages(stranger.context, `${host.url}takedown/status#case=1&token=${kept}`, 1);
  await status.getByText(/there is no such case/).waitFor();
  assert.equal(await status.locator(".claim").isVisible(), false, "the token of a report that waits shows nobody else's case");
  await confirms(await follow(stranger.context, other));
  await status.reload();
  await status.getByText(/there is no such case/).waitFor();

  await page.getByRole("link", { name: "Follow what becomes of it" }).click();
  await page.getByRole("heading", { name: /^Case 1:/ }).waitFor();
  await mailbox.mail("b@stranger.example", "Notice 2 has come in");
  assert.deepEqual((await host.cases()).map(([number]) => number).sort(), [1, 2]);
  assert.equal(mailbox.mails.length, 4, JSON.stringify(mailbox.mails.map(({ to, subject }) => [to, subject])));
});

test("a mail that does not get through is seen in the list and in its case, by keyboard, until it is sent", withMail, async (t) => {
  // A port at which nobody listens any more.
  const away = await startMailbox();
  away.close();
  const host = await startWithMail(away.port, "unmailed");
  let mailbox;
  t.after(async () => {
    await host.close();
    mailbox?.close();
  });
  const [desk] = await openPages(browser.context, `${host.url}takedown/queue`, 1);
  await desk.getByLabel(/password/).fill(DESK);
  await desk.keyboard.press("Enter");
  await desk.locator(".desk").waitFor();
  await desk.locator("h1").click();
  await desk.keyboard.press("e");
  const dialog = desk.locator("dialog.order");
  await dialog.getByLabel("Rules").fill("house-rules");
  await dialog.getByLabel("What it says").fill("It was loud.");
  await dialog.getByLabel("Who claims it").fill("N. Neighbour");
  await dialog.getByLabel("E-mail address").fill("n@neighbour.example");
  await dialog.getByRole("button", { name: "Enter a notice" }).click();
  await desk.locator('tr[data-case="1"]').waitFor();
  const shown = async (locator) => {
    for (let tries = 0; tries < 120 && !(await locator.first().isVisible()); tries += 1) {
      await desk.waitForTimeout(500);
      await desk.locator("h1").click();
      await desk.keyboard.press("g");
    }
    assert.ok(await locator.first().isVisible(), await desk.locator("main").innerText());
  };
  await shown(desk.locator('tr[data-case="1"] td:last-child', { hasText: "does not get through" }));
  const summary = desk.locator(".troubled summary");
  assert.equal(await summary.innerText(), "1 mail does not get through");
  await summary.focus();
  await desk.keyboard.press("Enter");
  const line = desk.locator(".troubled li");
  assert.match(await line.innerText(), /^does not get through\s+Notice 1 has come in, to who complained \(n@neighbour\.example\), written .+, tried \d+ times in vain, tried .+: .+/);
  await desk.keyboard.press("Tab");
  await desk.keyboard.press("Enter");
  await desk.locator("#case-title", { hasText: "Case 1:" }).waitFor();
  await desk.keyboard.press("l");
  assert.equal(await desk.evaluate(() => document.activeElement.id), "letters-title");
  assert.match(await desk.locator(".letters li").innerText(), /^does not get through\s+Notice 1 has come in, to who complained \(n@neighbour\.example\), .+ in vain, .+/);
  assert.deepEqual(await faults(desk), []);
  assert.ok(!(await desk.content()).includes("takedown/confirm#"), "no text of a mail is shown");

  mailbox = await startMailbox(away.port);
  await mailbox.mail("n@neighbour.example", "Notice 1 has come in");
  for (let tries = 0; tries < 60 && !(await desk.locator(".letters .sent").isVisible()); tries += 1) {
    await desk.waitForTimeout(500);
    await desk.locator('tr[data-case="1"] button').click();
  }
  assert.match(await desk.locator(".letters li").innerText(), /^sent\s+Notice 1 has come in, to who complained, written .+, sent .+, tried \d+ times in vain$/);
  await desk.locator("h1").click();
  await desk.keyboard.press("g");
  await desk.locator(".troubled").waitFor({ state: "hidden" });
  assert.equal(await desk.locator('tr[data-case="1"] td:last-child').innerText(), "");
  assert.deepEqual(await faults(desk), []);
});
