// The pages about complaints before a desk that gives back every text as it came: nothing of a stranger's may run, lead away or hide.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { after, afterEach, before, test } from "node:test";

import { hasChromium, launch, openPages } from "./browser.mjs";
import { complaints } from "./complaints.mjs";

const options = { skip: !hasChromium() && "no Chromium here", timeout: 120_000 };
const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** Texts that mean harm somewhere. */
const HOSTILE = [
  `<img src=x onerror="document.title='owned'"><script>document.title='owned'</script>`,
  `"><svg onload=document.title='owned'>`,
  `javascript:document.title='owned'`,
  `=cmd|' /C calc'!A0`,
  `invoice\u202Efdp.exe\u0000\u001b[2J`,
  "{{constructor.constructor('document.title=1')()}}${1+1}",
  "x".repeat(20_000),
  "a\r\nBcc: everybody@example.org",
];

/** A complaint in which every field is this text. */
function hostileCase(id, text) {
  const person = Object.fromEntries(["name", "organisation", "role", "address", "phone", "email", "country"].map((field) => [field, text]));
  const work = Object.fromEntries(["title", "owner", "kind", "registration", "url"].map((field) => [field, text]));
  const notice = {
    profile: "dmca", material: { from_ms: 1_000, to_ms: 2_000, where: text }, work, explanation: text, claimant: person,
    statements: [{ id: text, version: 1, locale: text, sha256: text }], executed_on: text, signature: text,
  };
  const evidence = { bundle: true, times_ms: null, faults: [text] };
  const comparison = { verdict: text, detail: text, tools: [text] };
  return { id, revision: 1, state: "screened", notice, evidence, copy: true, missing: [text], asked: [text], comparison, counter: { name: text, explanation: text }, received_us: 1.79e15, letters: [letter(id, "failing", { subject: text, address: text, problem: text })] };
}

const letter = (id, state, more = {}) => ({
  letter: `${id}${state}`, case: id, draft: null, to: "claimant", address: state === "failing" ? "a@author.example" : null, subject: `Notice ${id} has come in`, state, put_us: 1.79e15, tries: 4,
  next_us: state === "failing" ? 1.79e15 : null, sent_us: state === "sent" ? 1.79e15 : null, problem: state === "sent" ? "" : "the mail server answers 451", ...more,
});

const plain = (id, state = "screened") => {
  const notice = { profile: "dmca", material: { from_ms: 10_000, to_ms: 20_000 }, work: { title: `song ${id}` }, claimant: { name: "A. Author" }, statements: [] };
  return { id, revision: 3, state, notice, missing: [], asked: [] };
};

let browser;
const hosts = [];

before(async () => {
  if (!options.skip) browser = await launch();
});
afterEach(async () => {
  for (const page of browser?.context.pages() ?? []) await page.close({ runBeforeUnload: false });
  for (const host of hosts.splice(0)) host.close();
});
after(() => browser?.close());

async function start(setup) {
  const host = await complaints(setup);
  hosts.push(host);
  return host;
}

async function open(host, path) {
  const [page] = await openPages(browser.context, `${host.url}${path}`, 1);
  return page;
}

/** What axe finds wrong, as text. Its script is evaluated from outside of the page's policy. */
async function faults(page) {
  await page.evaluate(AXE);
  const { violations } = await page.evaluate(() => globalThis.axe.run());
  return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ target }) => target.join(" ")).join(", ")}`);
}

async function inBothColours(page, what) {
  for (const colorScheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme });
    assert.deepEqual(await faults(page), [], `${what}, ${colorScheme}`);
  }
}

test("what strangers write is shown and does nothing", options, async () => {
  const host = await start({ cases: HOSTILE.map((text, index) => hostileCase(index + 1, text)) });
  for (const path of ["takedown/queue", "takedown/counter"]) {
    const page = await open(host, path);
    const title = await page.title();
    const requests = [];
    page.on("request", (request) => requests.push(request.url()));
    page.on("dialog", () => assert.fail("a dialog"));
    if (path === "takedown/queue") {
      for (const [index] of HOSTILE.entries()) {
        await page.locator(`tr[data-case="${index + 1}"] button`).click();
        await page.locator("#case-title", { hasText: `Case ${index + 1}:` }).waitFor();
        await page.locator(".claimed dd").first().waitFor();
      }
      // The last but four hides and turns its text around.
      await page.locator('tr[data-case="5"] button').click();
      await page.locator(".claimant dd", { hasText: "invoice⟨U+202E⟩fdp.exe⟨U+0000⟩⟨U+001B⟩[2J" }).first().waitFor();
    } else await page.locator(".cases dd", { hasText: "<img src=x" }).first().waitFor();
    assert.equal(await page.title(), title);
    const strange = await page.evaluate(() => document.querySelectorAll("main :is(img, script, svg, iframe, object, [onerror], [onload], a[href^='javascript'])").length);
    assert.equal(strange, 0);
    assert.deepEqual(requests.filter((url) => !url.startsWith(host.url)), []);
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    assert.ok(wide <= 0, `${path} is ${wide} pixels too wide`);
  }
});

test("the policy of the pages forbids what is inline and what is elsewhere", options, async () => {
  const host = await start({ cases: [plain(1)] });
  for (const path of ["takedown", "takedown/queue", "takedown/status", "takedown/counter"]) {
    const page = await open(host, path);
    await page.locator("h1").waitFor();
    const ran = await page.evaluate(async () => {
      const script = document.createElement("script");
      script.textContent = "window.ran = true";
      document.body.append(script);
      const elsewhere = await fetch("http://127.0.0.1:9/").then(() => true, () => false);
      return [window.ran ?? false, elsewhere];
    });
    assert.deepEqual(ran, [false, false], path);
  }
});

test("a report is written: what is missing is told once, the copy is sent in pieces, a receipt is given", options, async () => {
  const host = await start();
  const page = await open(host, "takedown?epoch=17&from_ms=60000&to_ms=70500&first_seq=300&end_seq=352");
  assert.equal(await page.locator("#rest").isVisible(), false, "first the rules are chosen");
  await page.getByLabel(/My copyright/).check();
  await page.getByText("1 to 351").or(page.getByText("300 to 351")).first().waitFor();
  assert.equal(await page.getByLabel("From", { exact: true }).inputValue(), "1:00");
  const boxes = page.locator(".boxes input");
  assert.deepEqual(await boxes.evaluateAll((all) => all.map(({ checked }) => checked)), [false, false, false]);
  await inBothColours(page, "the form");
  await page.getByLabel(/What it is called/).fill("A Song");
  await page.getByLabel(/^Your full legal name/).fill("A. Author");
  await page.locator("#copy").setInputFiles({ name: "copy.mp3", mimeType: "audio/mpeg", buffer: Buffer.alloc(2_500, 7) });
  await page.getByRole("button", { name: "Send the report" }).click();
  await page.locator(".missing li").first().waitFor();
  assert.deepEqual(await page.locator(".missing li").allInnerTexts(), ["Your signature: your name, typed as above", "The statement “perjury”"]);
  await boxes.nth(0).check();
  await boxes.nth(1).check();
  await page.getByLabel(/electronic signature/).fill("A. Author");
  await page.locator(".send").click();
  await page.getByRole("heading", { name: "The report has been received" }).waitFor();
  const replaced = host.sent.findLast(([method, path]) => method === "PUT" && path === "takedown/drafts/d1")[2];
  const { material, statements, executed_on, signature } = replaced;
  assert.deepEqual(material, { epoch: 17, from_ms: 60_000, to_ms: 70_500, first_seq: 300, end_seq: 352 });
  assert.deepEqual([statements.map(({ id }) => id), executed_on, signature], [["good-faith", "perjury"], "2026-11-29", "A. Author"]);
  const pieces = host.sent.filter(([method, path]) => method === "PUT" && path.includes("/copy?"));
  assert.deepEqual(pieces.map(([, path, bytes]) => [path.split("=")[1], bytes.length]), [["0", 1000], ["1000", 1000], ["2000", 500]]);
  const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: "Download the receipt" }).click()]);
  assert.equal(download.suggestedFilename(), "receipt-7.json");
  await page.getByRole("link", { name: "Follow what becomes of it" }).click();
  await page.getByRole("heading", { name: "Case 7: Received" }).waitFor();
  await inBothColours(page, "the status");
  await page.getByRole("button", { name: "Withdraw the report" }).click();
  await page.getByRole("button", { name: "Withdraw it" }).click();
  await page.getByRole("heading", { name: "Case 7: Closed" }).waitFor();
  assert.deepEqual(page.errors, []);
});

test("under the DSA nothing is sworn, signed or uploaded", options, async () => {
  const host = await start();
  const page = await open(host, "takedown");
  await page.getByLabel(/Illegal content/).check();
  for (const gone of [/electronic signature/, /Postal address/, /Telephone/]) assert.equal(await page.getByLabel(gone).isVisible(), false, String(gone));
  assert.equal(await page.getByText("penalty of perjury. Executed").isVisible(), false);
  assert.equal(await page.locator("p.warning").isVisible(), false);
  await page.getByLabel("From", { exact: true }).fill("soon");
  await page.getByRole("button", { name: "Send the report" }).click();
  await page.locator(".fault", { hasText: "Write a time such as 12:30" }).waitFor();
  assert.equal(await page.evaluate(() => document.activeElement.name), "material.from_ms");
  assert.deepEqual(host.sent.filter(([method]) => method !== "GET"), [], "nothing was sent");
});

test("the queue is worked through with keys alone", options, async () => {
  let answer;
  const answered = new Promise((done) => (answer = done));
  const host = await start({ cases: [plain(1), plain(2), plain(3, "actioned")], carried: () => answered });
  const page = await open(host, "takedown/queue");
  await page.locator("tbody tr").first().waitFor();
  await page.keyboard.press("j");
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "Case 2: Waits for you" }).waitFor();
  await inBothColours(page, "the desk");
  await page.keyboard.press("?");
  await page.getByRole("dialog").getByText("Next and previous case").waitFor();
  assert.deepEqual(await faults(page), [], "the help");
  await page.keyboard.press("Escape");
  await page.locator(".case").focus();
  await page.keyboard.press("a");
  const dialog = page.locator("dialog.order");
  await dialog.waitFor();
  assert.deepEqual(await faults(page), [], "the question");
  assert.equal(await dialog.getByLabel("From").inputValue(), "0:10");
  await dialog.getByLabel(/Why, for the log/).fill("it is the song");
  await dialog.getByRole("button", { name: "Accept and act" }).click();
  await page.waitForFunction(() => document.activeElement?.matches(".case"));
  // Keys are letters again for who writes, and what was decided meanwhile does not take the field away.
  await page.keyboard.press("/");
  await page.keyboard.type("ja");
  const again = page.waitForResponse((response) => response.request().method() === "GET" && response.url().endsWith("/desk/cases/2"));
  answer();
  await again;
  await page.waitForTimeout(200);
  await page.keyboard.type("r");
  assert.equal(await page.locator(".by-text").inputValue(), "jar");
  const [, path, body] = host.sent.find(([method, path]) => method === "POST" && path.endsWith("/decide"));
  const actions = [{ action: "hide-range", from_ms: 10_000, to_ms: 20_000 }, { action: "notify-publisher" }];
  assert.deepEqual([path, body], ["takedown/desk/cases/2/decide", { decision: "act", actions, note: "it is the song", revision: 3 }]);
  assert.deepEqual(page.errors, []);
});

test("mails that do not get through are marked in the list, gathered below it, and told in their case", options, async () => {
  const cases = [
    { ...plain(1), letters: [letter(1, "sent")] },
    { ...plain(2), letters: [letter(2, "failing"), letter(2, "sent", { to: "streamer" })] },
    { ...plain(3, "actioned"), letters: [letter(3, "given-up"), letter(3, "waiting")] },
  ];
  const page = await open(await start({ cases }), "takedown/queue");
  await page.locator("tbody tr").first().waitFor();
  assert.deepEqual(await page.locator("tbody td:last-child").allInnerTexts(), ["", "does not get through", "given up"]);
  const summary = page.locator(".troubled summary");
  assert.equal(await summary.innerText(), "2 mails do not get through");
  await summary.focus();
  await page.keyboard.press("Enter");
  await page.keyboard.press("Tab");
  assert.equal(await page.evaluate(() => document.activeElement.textContent), "Open case 2");
  await page.keyboard.press("g");
  await page.waitForTimeout(200);
  assert.equal(await page.evaluate(() => document.activeElement.textContent), "Open case 2", "the list was loaded again");
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "Case 2: Waits for you" }).waitFor();
  await page.keyboard.press("l");
  assert.equal(await page.evaluate(() => document.activeElement.textContent), "Mails");
  const told = await page.locator(".letters li").allInnerTexts();
  assert.match(told[0], /^does not get through\s+Notice 2 has come in, to who complained \(a@author.example\), written .+, tried 4 times in vain, tried now: the mail server answers 451$/);
  assert.match(told[1], /^sent\s+Notice 2 has come in, to the streamer, written .+, sent .+/);
  await inBothColours(page, "the mails");
  assert.deepEqual(page.errors, []);
});

test("the streamer sees complaints and objects", options, async () => {
  const host = await start({ cases: [plain(1)] });
  const page = await open(host, "takedown/counter");
  await page.getByRole("button", { name: "Object" }).click();
  await inBothColours(page, "the objection");
  await page.getByLabel(/Why it was a mistake/).fill("it is my own song");
  await page.locator(".boxes input").check();
  await page.getByRole("button", { name: "Send the objection" }).click();
  await page.locator("form.counter").waitFor({ state: "hidden" });
  const [, , body] = host.sent.find(([method]) => method === "POST");
  assert.deepEqual([body.explanation, body.statements.length, body.executed_on], ["it is my own song", 1, "2026-11-29"]);
});
