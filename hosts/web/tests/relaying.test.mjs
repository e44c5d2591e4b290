// When pages relay, in a real Chromium before the real host: what the host's config says, and what the machine and its viewer bring along.
import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";

import { hasChromium, launch, openPages, status, until, untilLive } from "./browser.mjs";
import { binary, startDemo, startSite } from "./demo.mjs";

const missing = !binary ? "the host is not built: cargo build -p peerstream-host" : !hasChromium() && "no Chromium here";
const options = { skip: missing || false, timeout: 120_000 };
const POLICY = `[player]
consent = "ask"
metered = "relay"
notice = "We share what we hear."
notice_href = "https://example.org/relaying"
`;
let demo;
let browser;

before(async () => {
  if (missing) return;
  demo = await startDemo(POLICY);
  browser = await launch();
});

afterEach(async () => {
  for (const page of browser?.context.pages() ?? []) await page.close({ runBeforeUnload: false });
});

after(async () => {
  await browser?.close();
  await demo?.close();
});

async function embedded(t, attributes, { init, src = demo.url } = {}) {
  const site = await startSite({ src, ...attributes });
  t.after(site.close);
  const page = await browser.context.newPage();
  if (init) await page.addInitScript(init);
  await page.goto(site.url);
  await untilLive([page]);
  return page;
}

/** Whether the coordinator counts on a page. */
async function counted(page) {
  const { node } = await status(page);
  const answer = await fetch(`${demo.url}api/v1/nodes/${node}`);
  return answer.ok ? (await answer.json()).now?.relay : undefined;
}

async function untilCounted(page, wanted) {
  for (let tries = 0; (await counted(page)) !== wanted; tries += 1) {
    assert.ok(tries < 100, `relaying is not ${wanted} for the coordinator`);
    await page.waitForTimeout(100);
  }
}

test("what the host's config says about relaying holds in a page that says nothing", options, async (t) => {
  const [page] = await openPages(browser.context, demo.url, 1);
  await untilLive([page]);
  const { relay, resting } = await status(page);
  assert.deepEqual([relay, resting], [false, "off"], "nothing is relayed before the viewer has agreed");
  assert.equal(await page.getByRole("link", { name: "More about this" }).getAttribute("href"), "https://example.org/relaying");
  await page.getByRole("button", { name: "Relay" }).click();
  await until(page, "relaying", ({ relay, resting }) => relay && resting === null);
  assert.equal(await page.locator(".notice").innerText(), "We share what we hear.");
  const saving = () => Object.defineProperty(navigator, "connection", { value: Object.assign(new EventTarget(), { saveData: true }) });
  const frugal = await embedded(t, { relay: "on", consent: "inform" }, { init: saving });
  assert.equal((await status(frugal)).resting, null, "the host has allowed that");
});

test("a page's attributes come before the host's config", options, async (t) => {
  const page = await embedded(t, { consent: "silent", notice: "Ours.", "notice-href": "/ours" });
  await until(page, "relaying", ({ relay }) => relay);
  assert.equal(await page.locator(".notice").isVisible(), false);
  assert.match(await page.getByRole("link", { name: "More about this" }).getAttribute("href"), /^http:\/\/127\.0\.0\.1:\d+\/ours$/);
  await page.evaluate(() => document.querySelector("peerstream-player").setAttribute("consent", "inform"));
  await page.locator(".notice").waitFor();
  assert.equal(await page.locator(".notice").innerText(), "Ours.");
});

test("a cap in the host's config makes pages leaves where the stream is larger", options, async (t) => {
  // Room for one copy of the demo's 0.4 Mbit/s: whoever relays needs two.
  const capped = await startDemo("[player]\nupload_mbps = 0.5\n");
  t.after(capped.close);
  const page = await embedded(t, {}, { src: capped.url });
  await until(page, "resting", ({ resting }) => resting === "cap");
  await page.evaluate(() => document.querySelector("peerstream-player").setAttribute("upload-mbps", "1000"));
  await until(page, "relaying", ({ state, relay }) => state === "live" && relay);
});

/** A page in another tab, and the time it spends there: neither can be had without a window. */
function hideable() {
  const [now, skew] = [performance.now.bind(performance), { ms: 0 }];
  performance.now = () => now() + skew.ms;
  globalThis.turnAway = (hidden, ms) => {
    Object.defineProperty(document, "visibilityState", { value: hidden ? "hidden" : "visible", configurable: true });
    document.dispatchEvent(new Event("visibilitychange"));
    skew.ms += ms;
  };
}

test("a tab that has been hidden for a while is a leaf until it is seen again, and plays on", options, async (t) => {
  const page = await embedded(t, { consent: "inform" }, { init: hideable });
  await untilCounted(page, true);
  await page.evaluate(() => turnAway(true, 5_000));
  await page.waitForTimeout(1_500);
  assert.equal((await status(page)).resting, null, "a glance at another tab is no reason");
  await page.evaluate(() => turnAway(true, 20_000));
  await until(page, "a leaf", ({ relay, resting }) => !relay && resting === "hidden");
  await untilCounted(page, false);
  const { figures } = await status(page);
  await until(page, "playing on", (now) => now.state === "live" && now.figures.delivered > figures.delivered + 10);
  await page.evaluate(() => turnAway(false, 0));
  await until(page, "relaying", ({ relay, resting }) => relay && resting === null);
  await untilCounted(page, true);
});

/** A machine on its battery; browsers without a window have none. */
function onBattery() {
  const battery = Object.assign(new EventTarget(), { charging: false, level: 0.24 });
  navigator.getBattery = async () => battery;
  globalThis.charge = (change) => {
    Object.assign(battery, change);
    battery.dispatchEvent(new Event("charging" in change ? "chargingchange" : "levelchange"));
  };
}

test("a machine whose battery is low is a leaf until it is charged", options, async (t) => {
  const page = await embedded(t, { consent: "inform" }, { init: onBattery });
  assert.deepEqual([(await status(page)).resting, (await status(page)).relay], ["battery", false]);
  assert.match(await page.locator(".notice").innerText(), /battery is low/);
  await page.evaluate(() => charge({ charging: true }));
  await until(page, "relaying", ({ relay, resting }) => relay && resting === null);
  await untilCounted(page, true);
  await page.evaluate(() => charge({ charging: false }));
  await until(page, "a leaf again", ({ relay, resting }) => !relay && resting === "battery");
  await page.evaluate(() => charge({ level: 0.8 }));
  await until(page, "relaying again", ({ relay, resting }) => relay && resting === null);
});
