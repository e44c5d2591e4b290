// Whole pages against the real host: they play, relay, survive each other, and take part again after the host was away.
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:net";
import { after, afterEach, before, test } from "node:test";

import { crash, hasChromium, launch, openPages, status, until, untilLive, untilPlaying } from "./browser.mjs";
import { binary, startDemo, startSite } from "./demo.mjs";

const missing = !binary ? "the host is not built: cargo build -p peerstream-host" : !hasChromium() && "no Chromium here";
const options = { skip: missing || false, timeout: 120_000 };
const PAGES = Number(process.env.PEERSTREAM_PAGES ?? 5);
let demo;
let site;
let browser;

before(async () => {
  if (missing) return;
  demo = await startDemo();
  site = await startSite({ src: demo.url, publisher: demo.key });
  browser = await launch();
});

afterEach(async () => {
  for (const page of browser?.context.pages() ?? []) await page.close({ runBeforeUnload: false });
});

after(async () => {
  await browser?.close();
  await site?.close();
  await demo?.close();
});

async function swarm(count = PAGES, apart_ms = 100) {
  const pages = await openPages(browser.context, site.url, count, { apart_ms });
  await untilLive(pages);
  return pages;
}

const relayed = async (pages) => (await Promise.all(pages.map(status))).filter(({ fed }) => fed.length > 0);

// As many as two busy cores decode; how more of them fare is measured in `tests/measure`.
test("six pages play close to the live edge, and pages feed pages", options, async () => {
  const pages = await swarm(6, 500);
  await pages[0].waitForTimeout(4_000);
  for (const page of pages) await untilPlaying(page);
  const fedByPage = ({ feeders }) => feeders.some((feeder) => feeder !== "source");
  const fed = async () => (await Promise.all(pages.map(status))).filter(fedByPage).length;
  for (let tries = 0; (await fed()) < 3; tries += 1) {
    assert.ok(tries < 60, `only ${await fed()} of 6 pages are fed by pages`);
    await pages[0].waitForTimeout(500);
  }
  for (const page of pages) await until(page, "close to the live edge", ({ lag_ms }) => lag_ms < 4_000);
  for (const page of pages) assert.equal((await status(page)).figures.offences, 0);
  for (const { errors } of pages) assert.deepEqual(errors, []);
});

test("a page tells when it did the steps up to its first picture", options, async () => {
  const [page] = await swarm(1);
  const { steps } = await until(page, "shown", ({ steps }) => steps.shown !== undefined && steps.appended !== undefined);
  const { control, welcome, segment, appended, shown } = steps;
  // A picture may be on the screen before the browser says that what it is in has been appended.
  const way = [control, welcome, segment];
  const ways = [[steps.player, steps.facts], [steps.thread, steps.module, welcome], [...way, appended], [...way, shown]];
  for (const way of ways) assert.deepEqual([...way].sort((a, b) => a - b), way, JSON.stringify(steps));
});

test("a page that is live says in which broadcast, from the first moment on", options, async () => {
  const [page] = await openPages(browser.context, site.url, 1);
  const epoch = await page.evaluate(async () => {
    await customElements.whenDefined("peerstream-player");
    const player = document.querySelector("peerstream-player");
    while (player.status().state !== "live") await new Promise((done) => setTimeout(done, 1));
    return player.status().epoch;
  });
  assert.equal(epoch, (await (await fetch(`${demo.url}api/v1/stream`)).json()).epoch);
});

test("when a feeding page crashes the others go on", options, async () => {
  const pages = await swarm();
  await pages[0].waitForTimeout(2_000);
  const feeding = (await relayed(pages)).map(({ node }) => node);
  const all = await Promise.all(pages.map(status));
  const victim = pages[all.findIndex(({ node }) => feeding.includes(node))];
  const others = pages.filter((page) => page !== victim);
  await crash(victim);
  await others[0].waitForTimeout(1_000);
  for (const page of others) {
    await untilPlaying(page, { ms: 2_500, sound: false });
  }
});

test("a page that does not relay feeds nobody", options, async (t) => {
  const shy = await startSite({ src: demo.url, relay: "off" });
  t.after(shy.close);
  const [page] = await openPages(browser.context, shy.url, 1);
  await untilLive([page]);
  const others = await swarm();
  await others[0].waitForTimeout(2_000);
  assert.deepEqual((await status(page)).fed, []);
});

test("somebody else's key plays nothing", options, async (t) => {
  const pinned = await startSite({ src: demo.url, publisher: "00".repeat(32) });
  t.after(pinned.close);
  const [page] = await openPages(browser.context, pinned.url, 1);
  const seen = await until(page, "refused", ({ state }) => state === "refused");
  assert.match(seen.detail, /does not carry this stream|somebody else/);
  assert.equal(seen.figures.delivered, 0);
});

test("the second host is used when the first takes connections and says nothing", options, async (t) => {
  const mute = createServer(() => undefined).listen(0, "127.0.0.1");
  t.after(() => mute.close());
  await once(mute, "listening");
  const backed = await startSite({ src: `http://127.0.0.1:${mute.address().port}/`, endpoints: demo.url });
  t.after(backed.close);
  const [page] = await openPages(browser.context, backed.url, 1);
  await untilLive([page]);
});

test("a page that leaves is gone from the overlay at once", options, async () => {
  const [page, other] = await openPages(browser.context, site.url, 2);
  await untilLive([page, other]);
  const members = async () => (await (await fetch(`${demo.url}api/v1/overlay`)).json()).members;
  assert.equal(await members(), 2);
  await page.goto("about:blank");
  await other.waitForTimeout(700);
  assert.equal(await members(), 1);
});

test("a new broadcast of the same publisher goes on in the same page", options, async () => {
  const [page] = await openPages(browser.context, site.url, 1);
  await untilLive([page]);
  const { epoch } = await status(page);
  await demo.restart();
  await until(page, "in the new broadcast", (now) => now.state === "live" && now.epoch > epoch, { timeout_ms: 40_000 });
  await untilPlaying(page, { sound: false });
});

test("a host that was killed goes on with the same broadcast in the same page", options, async () => {
  const pages = await openPages(browser.context, site.url, 2);
  await untilLive(pages);
  const before = await Promise.all(pages.map(status));
  await demo.crash();
  const goesOn = (page, { epoch, figures }) => {
    const fed = (now) => now.state === "live" && now.figures.delivered > figures.delivered + 20;
    return until(page, "fed again", (now) => fed(now) && now.epoch === epoch, { timeout_ms: 40_000 });
  };
  await Promise.all(pages.map((page, at) => goesOn(page, before[at])));
  for (const page of pages) await untilPlaying(page, { sound: false });
});

test("a page that is turned away says so until it is let in", options, async (t) => {
  const small = await startDemo("[limits]\nnodes = 1\n");
  t.after(small.close);
  const tight = await startSite({ src: small.url });
  t.after(tight.close);
  const [first] = await openPages(browser.context, tight.url, 1);
  await untilLive([first]);
  const [second] = await openPages(browser.context, tight.url, 1);
  const seen = await until(second, "turned away", ({ state }) => state === "refused");
  assert.match(seen.detail, /as many viewers as it can hold/);
  await second.waitForTimeout(1_500);
  assert.equal((await status(second)).state, "refused");
});
