// A player beside a heavy page: in a Worker it plays on and feeds others while the page's thread is blocked.
import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";

import { hasChromium, inWorkers, launch, missingProofs, openPages, status, until, untilLive, watch } from "./browser.mjs";
import { binary, startDemo, startSite } from "./demo.mjs";

const missing = !binary ? "the host is not built: cargo build -p peerstream-host" : !hasChromium() && "no Chromium here";
const options = { skip: missing || false, timeout: 120_000 };
/** The page's thread is blocked for so long at a time. */
const BLOCKED_MS = 3_000;
const TIMES = 4;
let demo;
let browser;

before(async () => {
  if (missing) return;
  // One root feeds all others, so that it matters whether it is awake.
  demo = await startDemo('[strategy]\nuse = "dumbbell"\nconfig.roots = 1\n');
  browser = await launch();
});

afterEach(async () => {
  for (const page of browser?.context.pages() ?? []) await page.close({ runBeforeUnload: false });
});

after(async () => {
  await browser?.close();
  await demo?.close();
});

async function open(t, attributes = {}, site = {}) {
  const served = await startSite({ src: demo.url, ...attributes }, site);
  t.after(served.close);
  const [page] = await openPages(browser.context, served.url, 1);
  await untilLive([page]);
  return page;
}

/** Blocks a page's thread again and again; how far its play head went meanwhile for each second, jumps between not counted. */
const block = (page) =>
  page.evaluate(
    async ([blocked_ms, times]) => {
      const { video } = document.querySelector("peerstream-player");
      const turn = (ms) => new Promise((done) => setTimeout(done, ms));
      let went = 0;
      for (let time = 0; time < times; time += 1) {
        await turn(200);
        went -= video.currentTime;
        // An element tells the same time until its task has ended.
        await turn(0);
        for (const until = performance.now() + blocked_ms; performance.now() < until; );
        went += video.currentTime;
      }
      return went / ((blocked_ms * times) / 1000);
    },
    [BLOCKED_MS, TIMES],
  );

/** How far a page's play head goes for each second, while something else happens. */
async function meanwhile(page, happens) {
  const at = () => page.evaluate(() => [performance.now(), document.querySelector("peerstream-player").video.currentTime]);
  const before = await at();
  const result = await happens();
  const now = await at();
  return [((now[1] - before[1]) * 1000) / (now[0] - before[0]), result];
}

/** Two pages of which one feeds the other: the one whose thread is going to be blocked, and the one below it. */
async function feedingAndFed(t) {
  const pages = [await open(t, { fallback: "off" }), await open(t, { fallback: "off" })];
  const nodes = (await Promise.all(pages.map(status))).map(({ node }) => node);
  // Which one is on top is the strategy's matter, and it may think again in the first seconds.
  for (let tries = 0; tries < 60; tries += 1) {
    await pages[0].waitForTimeout(500);
    const all = await Promise.all(pages.map(status));
    const below = all.findIndex(({ feeders }, i) => feeders.length === 1 && feeders[0] === nodes[1 - i]);
    if (below >= 0 && tries >= 8) return { busy: pages[1 - below], child: pages[below], node: nodes[1 - below] };
  }
  throw new Error(`neither page feeds the other: ${JSON.stringify(await Promise.all(pages.map(status)))}`);
}

test("a page whose thread is blocked again and again plays on, and so does the page that it feeds", options, async (t) => {
  const { busy, child, node } = await feedingAndFed(t);
  const before = [await status(busy), await status(child)];
  assert.equal(before[0].thread, "worker");
  const [childs, own] = await meanwhile(child, () => block(busy));
  const now = [await status(busy), await status(child)];
  t.diagnostic(`play heads went ${own.toFixed(2)} and ${childs.toFixed(2)} s a second`);
  assert.ok(own > 0.9, `its own play head went ${own} s a second`);
  assert.ok(childs > 0.9, `the play head of the page below went ${childs} s a second`);
  assert.deepEqual(now[1].feeders, [node], "nobody else had to help");
  const grew = (figure) => now.map(({ figures }, i) => figures[figure] - before[i].figures[figure]);
  assert.deepEqual([grew("skipped"), grew("stalls")], [[0, 0], [0, 0]]);
  assert.ok(grew("payload_sent")[0] > 100_000, "it has gone on relaying");
});

test("without a Worker the same page stands still", options, async (t) => {
  const busy = await open(t, { worker: "off" });
  assert.deepEqual([(await status(busy)).thread, (await status(busy)).worker_refusals], ["page", 0]);
  await busy.waitForTimeout(1_000);
  const own = await block(busy);
  t.diagnostic(`the play head went ${own.toFixed(2)} s a second`);
  assert.ok(own < 0.7, `its play head went ${own} s a second`);
});

test("where the page's policy forbids Workers the page's thread does it all", options, async (t) => {
  const page = await open(t, {}, { headers: { "content-security-policy": "worker-src 'none'" } });
  const { thread, worker_refusals } = await status(page);
  assert.deepEqual([thread, worker_refusals], ["page", 1]);
  assert.deepEqual(missingProofs(await watch(page, { ms: 1_500, sound: false }), { sound: false }), []);
});

test("the strictest policy under which it keeps its Worker, trusted types among it", options, async (t) => {
  const origin = new URL(demo.url).origin;
  const policy = [
    "default-src 'none'",
    "script-src 'self' 'wasm-unsafe-eval'",
    `connect-src 'self' ${origin} ${origin.replace("http", "ws")}`,
    "media-src blob:",
    "worker-src blob:",
    "img-src data:",
    "require-trusted-types-for 'script'",
    "trusted-types peerstream",
  ].join("; ");
  const page = await open(t, {}, { headers: { "content-security-policy": policy } });
  assert.deepEqual([(await status(page)).thread, page.errors], ["worker", []]);
  assert.deepEqual(missingProofs(await watch(page, { ms: 1_500, sound: false }), { sound: false }), []);
});

test("a browser that has no media in Workers plays on the page's thread", options, async (t) => {
  const site = await startSite({ src: demo.url });
  t.after(site.close);
  const page = await browser.context.newPage();
  await page.addInitScript(inWorkers(() => delete self.MediaSource));
  await page.goto(site.url);
  await untilLive([page]);
  assert.deepEqual([(await status(page)).thread, (await status(page)).worker_refusals], ["page", 1]);
});
