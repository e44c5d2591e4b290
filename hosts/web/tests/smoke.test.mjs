// The built page in a real Chromium, without a coordinator.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { hasChromium, inWorkers, launch, openPages, status, until } from "./browser.mjs";
import { host } from "./server.mjs";

const KEY = "ab".repeat(32);
const STREAM = { publisher: KEY, epoch: 1, kind: "media", mime: null, state: "waiting", title: "Evening concert" };

const options = { skip: hasChromium() ? false : "no Chromium here" };
let browser;
let served;

before(async () => {
  if (!hasChromium()) return;
  served = await host({ "/api/v1/stream": STREAM });
  browser = await launch();
});

after(async () => {
  await browser?.close();
  served?.close();
});

test("the page starts a node that asks for the control connection", options, async () => {
  const [page] = await openPages(browser.context, served.url, 1);
  const now = await until(page, "waiting", ({ state }) => state === "waiting");
  assert.equal(now.node, null);
  assert.equal(await page.title(), "Evening concert");
  await until(page, "trying the control connection", () => served.upgrades.includes("/api/v1/control"));
  assert.equal(await page.evaluate(() => document.querySelector("peerstream-player").video.tagName), "VIDEO");
  await page.close();
});

/** A host that is slow to say what it has to say, with a page whose player has these attributes. */
async function slowHost(t, attributes) {
  const page = `<!doctype html><script type="module" src="./peerstream.js"></script><peerstream-player ${attributes}></peerstream-player>`;
  const embed = (response) => response.setHeader("content-type", "text/html").end(page);
  const slow = await host({ "/embed": embed, "/api/v1/stream": () => undefined });
  t.after(slow.close);
  return slow;
}

test("the control connection is opened while the host is still being asked", options, async (t) => {
  const slow = await slowHost(t, "");
  const [page] = await openPages(browser.context, `${slow.url}embed`, 1);
  await until(page, "trying the control connection", () => slow.upgrades.includes("/api/v1/control"));
  assert.equal((await status(page)).steps.facts, undefined);
  await page.close();
});

test("who brings a token waits until the host has said whether it wants a ticket", options, async (t) => {
  const slow = await slowHost(t, 'token="invited"');
  const [page] = await openPages(browser.context, `${slow.url}embed`, 1);
  await until(page, "started", ({ thread }) => thread === "worker");
  await page.waitForTimeout(500);
  assert.deepEqual(slow.upgrades, []);
  await page.close();
});

test("two players on one page share the module and each have a node", options, async () => {
  const [page] = await openPages(browser.context, served.url, 1);
  await page.evaluate(() => document.body.append(document.querySelector("peerstream-player").cloneNode()));
  const before = served.upgrades.length;
  await until(page, "trying twice", () => served.upgrades.length >= before + 2);
  assert.deepEqual(page.errors.filter((text) => !/WebSocket/.test(text)), []);
  await page.close();
});

test("the relay switch is remembered and announced", options, async () => {
  const [page] = await openPages(browser.context, served.url, 1);
  const toggle = page.getByRole("switch");
  assert.equal(await toggle.isChecked(), true);
  await toggle.focus();
  await page.keyboard.press("Space");
  await until(page, "not relaying", ({ relay }) => relay === false);
  await page.reload();
  assert.equal(await page.getByRole("switch").isChecked(), false);
  assert.match(await page.locator(".notice").innerText(), /does not pass/);
  await page.getByRole("switch").focus();
  await page.keyboard.press("Space");
  await page.close();
});

test("a false publisher key is told and not tried", options, async () => {
  const [page] = await openPages(browser.context, served.url, 1);
  await page.evaluate(() => document.querySelector("peerstream-player").setAttribute("publisher", "xyz"));
  const now = await until(page, "failed", ({ state }) => state === "failed");
  assert.match(now.detail, /64 hexadecimal digits/);
  await page.close();
});

test("plain http without WebCrypto is enough", options, async () => {
  const [page] = await openPages(browser.context, served.url, 1);
  await page.addInitScript(() => Object.defineProperty(crypto, "subtle", { value: undefined }));
  await page.reload();
  await until(page, "waiting", ({ state }) => state === "waiting");
  assert.deepEqual(page.errors.filter((text) => !/WebSocket/.test(text)), []);
  await page.close();
});

test("leaving the page ends its node", options, async () => {
  const [page] = await openPages(browser.context, served.url, 1);
  await until(page, "waiting", ({ state }) => state === "waiting");
  await page.evaluate(() => document.querySelector("peerstream-player").remove());
  await page.waitForTimeout(200);
  const before = served.upgrades.length;
  await page.waitForTimeout(3_000);
  assert.equal(served.upgrades.length, before, "a removed element tries no more");
  await page.close();
});

test("after a panic of the module a new node starts", options, async () => {
  const page = await browser.context.newPage();
  page.messages = [];
  page.on("console", (message) => page.messages.push(message.text()));
  const defective = () => {
    const { instantiate } = WebAssembly;
    WebAssembly.instantiate = async (...args) => {
      const { exports } = await instantiate(...args);
      const defect = (...given) => (globalThis.panicNow ? ((globalThis.panicNow = false), exports.ps_panic()) : exports.ps_tick(...given));
      return { exports: { ...exports, ps_tick: defect } };
    };
  };
  await page.addInitScript(inWorkers(defective));
  await page.goto(served.url);
  await until(page, "waiting", ({ state }) => state === "waiting");
  for (const worker of page.workers()) await worker.evaluate(() => (globalThis.panicNow = true));
  await until(page, "restarted", ({ engine_restarts }) => engine_restarts === 1);
  assert.ok(page.messages.some((text) => text.includes("asked for by the driver")), page.messages.join());
  const before = served.upgrades.length;
  await until(page, "trying again", () => served.upgrades.length > before);
  await page.close();
});
