// Measures whole broadcasts with real pages. `node tests/measure/run.mjs SCENARIO [--pages N]`, scenarios below; prints JSON.
import { readFileSync } from "node:fs";

import { crash, firstFrameMs, lagMs, launch, missingProofs, openPages, status, until, untilLive, watch } from "../browser.mjs";
import { camera } from "./camera.mjs";
import { FPS, glassToGlass, readBars } from "./clip.mjs";
import { startServe } from "../demo.mjs";
import { pause, spread } from "./numbers.mjs";
import { serve } from "./serve.mjs";

const option = (name, otherwise) => {
  const at = process.argv.indexOf(`--${name}`);
  return at > 0 ? process.argv[at + 1] : otherwise;
};
const PAGES = Number(option("pages", 20));
const report = (what) => console.log(JSON.stringify(what));

/** Opens pages half a second apart; returns them with the milliseconds to their first pictures. */
async function gather(context, url, count = PAGES) {
  const firstFrames = [];
  const pages = [];
  for (let index = 0; index < count; index += 1) {
    const [page] = await openPages(context, url, 1);
    firstFrames.push(firstFrameMs(page));
    pages.push(page);
    await pause(500);
  }
  return { pages, firstFrames: await Promise.all(firstFrames) };
}

/** Payload copies over a span: what the source and the most burdened page sent, and what pages received. */
async function copies(host, pages, span_ms) {
  const before = await Promise.all([host.metrics(), ...pages.map(status)]);
  await pause(span_ms);
  const after = await Promise.all([host.metrics(), ...pages.map(status)]);
  const grew = (key) => after[0][key] - before[0][key];
  const key = (ending) => Object.keys(after[0]).find((name) => name.endsWith(`${ending}_total`));
  const produced = grew(key("source_produced_bytes"));
  const of = (figure) => after.slice(1).map((now, i) => (now.figures[figure] - before[i + 1].figures[figure]) / produced);
  const sent = grew(key("source_sent_bytes"));
  return {
    source: round(sent / produced),
    source_overhead: round(grew(key("source_overhead_bytes")) / sent),
    page_sent_max: round(Math.max(...of("payload_sent"))),
    page_received_max: round(Math.max(...of("payload_received"))),
    page_overhead_of_stream_max: round(Math.max(...of("overhead_sent"))),
  };
}

/** Waits until somebody is on air. */
async function untilOnAir(url) {
  while ((await (await fetch(`${url}api/v1/stream`)).json()).state !== "live") await pause(100);
}

const round = (value) => Math.round(value * 10_000) / 10_000;

/** What pages saw go wrong since `before`. */
async function troubles(pages, before = []) {
  const all = await Promise.all(pages.map(status));
  return {
    stalls: all.map(({ figures }, i) => figures.stalls - (before[i]?.figures.stalls ?? 0)),
    skipped: all.map(({ figures }, i) => figures.skipped - (before[i]?.figures.skipped ?? 0)),
  };
}

/**
 * Remembers the longest time that a page's play head stood still, from now on. A Worker keeps the time: pages that are not in front have
 * neither pictures nor timers to go by.
 */
const startFreezeWatch = (page) =>
  page.evaluate(() => {
    const video = document.querySelector("peerstream-player").video;
    const seen = { longest: 0, last: performance.now(), head: -1 };
    globalThis.freezeWatch = seen;
    const worker = new Worker(URL.createObjectURL(new Blob(["setInterval(() => postMessage(0), 40)"])));
    worker.onmessage = () => {
      const now = performance.now();
      if (video.currentTime === seen.head) return void (seen.longest = Math.max(seen.longest, now - seen.last));
      seen.head = video.currentTime;
      seen.last = now;
    };
  });
const longestFreeze = (page) => page.evaluate(() => globalThis.freezeWatch.longest);
const restartFreezeWatch = (page) =>
  page.evaluate(() => Object.assign(globalThis.freezeWatch, { longest: 0, last: performance.now() }));

async function withPages(body, options = {}) {
  const host = await serve(options);
  const browser = await launch({ viewport: { width: 400, height: 300 } });
  try {
    await body(host, browser.context);
  } finally {
    await browser.close();
    await host.close();
  }
}

const scenarios = {
  /** Pages opened half a second apart: first pictures, lag by scheduled replay, bar codes, stalls, copies. */
  twenty: () =>
    withPages(async (host, context) => {
      const { pages, firstFrames } = await gather(context, host.url);
      await untilLive(pages);
      await pause(3_000);
      const before = await Promise.all(pages.map(status));
      const lags = [];
      for (const page of pages) lags.push(await lagMs(page, (await status(page)).zero_ms, 1_500));
      const bars = [];
      for (const page of [pages[0], pages[Math.floor(PAGES / 2)], pages.at(-1)]) {
        await page.bringToFront();
        bars.push(await readBars(page));
      }
      const proofs = [];
      for (const page of pages) {
        await page.bringToFront();
        proofs.push(missingProofs(await watch(page, { ms: 1_500 }), { fps: FPS }));
      }
      report({ pages: PAGES, fps: FPS, first_frame_ms: { ...spread(firstFrames), each: firstFrames.map(Math.round) } });
      report({ lag_p95_of_pages_ms: spread(lags.map(({ p95 }) => p95)), lag_p50_of_pages_ms: spread(lags.map(({ p50 }) => p50)) });
      report({ bars });
      report({ missing_proofs: proofs.filter((missing) => missing.length > 0) });
      report(await troubles(pages, before));
      report({ copies_over_20_s: await copies(host, pages, 20_000) });
    }),

  /** A camera that is encoded live and published over RTMP: glass to glass by bar code, for `--minutes` on end. */
  live: async () => {
    const port = 20_000 + (process.pid % 10_000);
    const config = `[ingest.rtmp]\nuse = "rtmp"\nconfig.listen = "127.0.0.1:${port}"\nconfig.key = "measured-here"\n`;
    const host = await startServe(config);
    const source = camera(`rtmp://127.0.0.1:${port}/live/measured-here`);
    const browser = await launch({ viewport: { width: 400, height: 300 } });
    try {
      await untilOnAir(host.url);
      const { pages, firstFrames } = await gather(browser.context, host.url);
      await untilLive(pages);
      report({ pages: PAGES, first_frame_ms: spread(firstFrames) });
      await pause(10_000);
      const before = await Promise.all(pages.map(status));
      const rounds = Math.max(1, Math.round((Number(option("minutes", 1)) * 60) / (PAGES * 4)));
      for (let round = 0; round < rounds; round += 1) {
        const seen = [];
        for (const page of pages) seen.push(await glassToGlass(page));
        const lags = seen.flatMap((one) => one.lags);
        if (round % 10 === 0 || round === rounds - 1) {
          const misread = seen.reduce((sum, one) => sum + one.misread, 0);
          const rss = Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${host.pid()}/status`, "utf8"))?.[1]);
          report({ round, glass_to_glass_ms: spread(lags), pictures: lags.length, misread, host_rss_kb: rss, ...(await troubles(pages, before)) });
        }
      }
    } finally {
      source.stop();
      await browser.close();
      await host.close();
    }
  },

  /** Five renderers crash, the first one among them, then one every three seconds, then both nodes of a dumbbell. */
  deaths: () =>
    withPages(async (host, context) => {
      const { pages } = await gather(context, host.url);
      await untilLive(pages);
      await pause(4_000);
      const { nodes } = await host.overlay();
      const places = new Map(nodes.map(({ id, place }) => [id, place]));
      const named = await Promise.all(pages.map(async (page) => ({ page, place: places.get((await status(page)).node) })));
      const at = (place) => named.find((entry) => entry.place === place)?.page;
      let living = [...pages];
      const kill = async (victims) => {
        living = living.filter((page) => !victims.includes(page));
        await Promise.all(victims.map(crash));
      };
      await Promise.all(pages.map(startFreezeWatch));
      // None is the buddy of another, nor the parent of another's buddy: every survivor keeps its parent or its buddy.
      const step = async (what, victims, settle_ms) => {
        await Promise.all(living.filter((page) => !victims.includes(page)).map(restartFreezeWatch));
        const earlier = await Promise.all(living.filter((page) => !victims.includes(page)).map(status));
        await kill(victims);
        await pause(settle_ms);
        const freezes = await Promise.all(living.map(longestFreeze));
        report({ what, killed: victims.length, longest_freeze_ms: spread(freezes), ...(await troubles(living, earlier)) });
      };
      await step("five at once", ["A1", "B2", "A3", "B4", "A5"].map(at).filter(Boolean), 8_000);
      for (let i = 0; i < 4; i += 1) await step("one more", [living[(i * 5) % living.length]], 3_000);
      const overlay = await host.overlay();
      const twins = ["A2", "B2"].map((place) => overlay.nodes.find((node) => node.place === place)?.id);
      const now = await Promise.all(living.map(async (page) => ({ page, node: (await status(page)).node })));
      const pair = twins.map((id) => now.find(({ node }) => node === id)?.page).filter(Boolean);
      await step("both of a dumbbell", pair, 8_000);
      report({ copies_after: await copies(host, living, 8_000) });
    }),

  /** Both nodes of a dumbbell with children below crash at once. */
  twins: () =>
    withPages(async (host, context) => {
      const { pages } = await gather(context, host.url);
      await untilLive(pages);
      await pause(4_000);
      const { nodes } = await host.overlay();
      const ids = nodes.filter(({ place }) => place === "A2" || place === "B2").map(({ id }) => id);
      const named = await Promise.all(pages.map(async (page) => ({ page, node: (await status(page)).node })));
      const twins = named.filter(({ node }) => ids.includes(node)).map(({ page }) => page);
      const living = pages.filter((page) => !twins.includes(page));
      await Promise.all(living.map(startFreezeWatch));
      const earlier = await Promise.all(living.map(status));
      await Promise.all(twins.map(crash));
      await pause(8_000);
      const freezes = await Promise.all(living.map(longestFreeze));
      report({ killed: twins.length, longest_freeze_ms: spread(freezes), ...(await troubles(living, earlier)) });
    }),

  /** A Firefox page joins first and feeds Chromium pages. */
  firefox: () =>
    withPages(async (host, context) => {
      const { launchFirefox } = await import("../firefox.mjs");
      const firefox = await launchFirefox();
      try {
        const first = await firefox.open(host.url);
        await firefox.untilLive(first);
        const { pages } = await gather(context, host.url, 5);
        await untilLive(pages);
        await pause(4_000);
        const fox = await firefox.status(first);
        const fed = (await Promise.all(pages.map(status))).filter(({ feeders }) => feeders.includes(fox.node));
        const proofs = [];
        for (const page of pages) proofs.push(missingProofs(await watch(page), { fps: FPS }));
        report({ firefox: fox.node, feeds: fox.fed, state: fox.state, chromium_pages_fed_by_it: fed.length });
        report({ firefox_lag_ms: fox.lag_ms, stalls: fox.figures.stalls, skipped: fox.figures.skipped });
        report({ missing_proofs: proofs.filter((missing) => missing.length > 0) });
      } finally {
        await firefox.close();
      }
    }),

  /** A quarter of the viewers comes last and goes back in time (`--back SECONDS`): where what they see comes from. */
  past: () =>
    withPages(async (host, context) => {
      const back = Number(option("back", 120));
      const late = Math.max(1, Math.round(PAGES / 4));
      const { pages: early } = await gather(context, host.url, PAGES - late);
      await untilLive(early);
      await pause((back + 10) * 1_000);
      const { pages: latecomers } = await gather(context, host.url, late);
      await untilLive(latecomers);
      const before = await host.metrics();
      const began = Date.now();
      const goBack = (page) => page.evaluate((s) => document.querySelector("peerstream-player").goBack(s), back);
      const there = ({ behind_ms, player }) => behind_ms !== null && player?.ready;
      const times = await Promise.all(
        latecomers.map(async (page) => {
          await goBack(page);
          await until(page, "back", there, { timeout_ms: 60_000 });
          return Date.now() - began;
        }),
      );
      await pause(Number(option("seconds", 60)) * 1_000);
      const after = await host.metrics();
      const grew = (ending) => {
        const key = Object.keys(after).find((name) => name.endsWith(`${ending}_total`));
        return after[key] - before[key];
      };
      const now = await Promise.all(latecomers.map(status));
      const sum = (figure, of) => of.reduce((total, one) => total + one[figure], 0);
      report({ pages: PAGES, latecomers: late, back_s: back, pictures_after_ms: spread(times) });
      report({
        behind_ms: now.map(({ behind_ms }) => behind_ms),
        from_pages_bytes: sum("past_from_peers", now),
        from_host_bytes: sum("past_from_host", now),
        lost_segments: sum("past_lost", now),
        host_past_egress_of_stream: round(grew("past_bytes") / grew("source_produced_bytes")),
      });
      report(await troubles([...early, ...latecomers]));
    }),

  /** An address that is not loopback, a restarted source, and all pages reloaded at once. */
  trouble: () =>
    withPages(
      async (host, context) => {
        const { networkInterfaces } = await import("node:os");
        const lan = Object.values(networkInterfaces()).flat().find(({ family, internal }) => family === "IPv4" && !internal);
        const url = host.url.replace("127.0.0.1", lan.address);
        const { pages } = await gather(context, url);
        await untilLive(pages);
        report({ url_is_secure_context: await pages[0].evaluate(() => isSecureContext) });
        report({ lan_missing_proofs: missingProofs(await watch(pages.at(-1)), { fps: FPS }) });
        const { epoch } = await status(pages[0]);
        let began = Date.now();
        await host.restart();
        const newEpoch = (now) => now.state === "live" && now.epoch > epoch && now.figures.delivered > 0;
        const times = await Promise.all(pages.map((page) => until(page, "in the new epoch", newEpoch).then(() => Date.now() - began)));
        report({ restart_ms: spread(times) });
        await pause(3_000);
        began = Date.now();
        const again = await Promise.all(
          pages.map(async (page) => {
            await page.reload({ waitUntil: "commit" });
            await firstFrameMs(page);
            return Date.now() - began;
          }),
        );
        report({ all_reloaded_first_frame_ms: spread(again) });
      },
      { listen: "0.0.0.0:0" },
    ),
};

const scenario = scenarios[process.argv[2]];
if (!scenario) {
  console.error(`scenarios: ${Object.keys(scenarios).join(", ")}`);
  process.exit(2);
}
await scenario();
