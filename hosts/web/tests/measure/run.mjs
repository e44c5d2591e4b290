// Measures whole broadcasts with real pages. `node tests/measure/run.mjs SCENARIO [--pages N]`, scenarios below; prints JSON.
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";

import { crash, firstFrameMs, lagMs, launch, missingProofs, openPages, status, until, untilLive, watch } from "../browser.mjs";
import { camera } from "./camera.mjs";
import { FPS, glassToGlass, readBars } from "./clip.mjs";
import { archive, binary, startServe, startSite } from "../demo.mjs";
import { residentMb } from "./memory.mjs";
import { pause, quantile, spread } from "./numbers.mjs";
import { partsOf } from "../playlist.mjs";
import { soundAfterPicture, startFfmpeg, startObs } from "./encoders.mjs";
import { metrics, serve } from "./serve.mjs";

const option = (name, otherwise) => {
  const at = process.argv.indexOf(`--${name}`);
  return at > 0 ? process.argv[at + 1] : otherwise;
};
const PAGES = Number(option("pages", 20));
const report = (what) => console.log(JSON.stringify(what));

/** Opens pages half a second (`--every MS`) apart; returns them with the milliseconds to their first pictures. */
async function gather(context, url, count = PAGES) {
  const firstFrames = [];
  const pages = [];
  for (let index = 0; index < count; index += 1) {
    const [page] = await openPages(context, url, 1);
    firstFrames.push(firstFrameMs(page));
    pages.push(page);
    await pause(Number(option("every", 500)));
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

/** Runs in a page: plays from a second before this one to a second behind it; whether it came there. */
async function playOver(at) {
  const video = document.querySelector("video");
  video.currentTime = Math.max(0, at - 1);
  await video.play();
  for (let tries = 0; tries < 200 && !(video.currentTime > at + 1 && !video.seeking); tries += 1) await new Promise((done) => setTimeout(done, 100));
  return video.currentTime > at + 1 && video.currentTime < at + 5;
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

/** Runs in a page: an element is tapped only once, by its player's picture of the sound or by `watch`. */
function shareSound() {
  const tap = AudioContext.prototype.createMediaElementSource;
  AudioContext.prototype.createMediaElementSource = function (element) {
    const source = tap.call(this, element);
    Object.assign(element, { audioForTests: this, sourceForTests: source });
    return source;
  };
}

/** Forgets what the browser has kept of earlier pages, compiled code with it. */
async function emptyCache(page) {
  const session = await page.context().newCDPSession(page);
  await session.send("Network.clearBrowserCache");
  await session.detach();
}

/** Milliseconds of each second that a page's thread is busy. */
async function threadMs(page, span_ms) {
  const session = await page.context().newCDPSession(page);
  await session.send("Performance.enable");
  const busy = async () => {
    const { metrics } = await session.send("Performance.getMetrics");
    const of = (wanted) => metrics.find(({ name }) => name === wanted).value;
    return [of("TaskDuration"), of("Timestamp")];
  };
  const before = await busy();
  await pause(span_ms);
  const now = await busy();
  await session.detach();
  return ((now[0] - before[0]) * 1000) / (now[1] - before[1]);
}

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

  /**
   * The first picture of `--pages` pages, one at a time, with an empty cache and with a filled one, and when the steps before it were done.
   * `--against PROGRAM` takes turns with another host.
   */
  first: async () => {
    const programs = [binary, option("against", null)].filter((program) => program !== null);
    const hosts = [];
    const browser = await launch({ viewport: { width: 400, height: 300 } });
    try {
      for (const program of programs) hosts.push(await serve({ program }));
      const seen = programs.flatMap((program) => ["empty", "filled"].map((cache) => ({ program, cache, frames: [], steps: [] })));
      for (let round = 0; round < PAGES; round += 1) {
        for (const one of seen) {
          const page = await browser.context.newPage();
          if (one.cache === "empty") await emptyCache(page);
          await page.goto(hosts[programs.indexOf(one.program)].url, { waitUntil: "commit" });
          one.frames.push(await firstFrameMs(page));
          await pause(600);
          one.steps.push((await status(page)).steps ?? {});
          await page.close();
        }
      }
      for (const { program, cache, frames, steps } of seen) {
        const median = (step) => quantile(steps.map((one) => one[step] ?? Infinity), 0.5);
        const medians = Object.keys(steps[0]).map((step) => [step, median(step)]);
        report({ program, cache, first_frame_ms: spread(frames), steps_p50_ms: Object.fromEntries(medians.sort((a, b) => a[1] - b[1])) });
      }
    } finally {
      await browser.close();
      for (const host of hosts) await host.close();
    }
  },

  /** With and without a Worker, by turns: the first picture of `--pages` pages each, and what a second of stream costs the page's thread. */
  threads: () =>
    withPages(async (host, context) => {
      const modes = ["worker", "page"];
      const sites = await Promise.all(modes.map((mode) => startSite({ src: host.url, worker: mode === "page" ? "off" : "on" })));
      const firstFrames = modes.map(() => []);
      for (let round = 0; round < PAGES; round += 1) {
        for (const [index, { url }] of sites.entries()) {
          const [page] = await openPages(context, url, 1);
          firstFrames[index].push(await firstFrameMs(page));
          await page.close();
          await pause(500);
        }
      }
      for (const [index, { url, close }] of sites.entries()) {
        const pages = await openPages(context, url, 2, { apart_ms: 500 });
        await untilLive(pages);
        await pause(5_000);
        const seen = await status(pages[0]);
        const costs = await Promise.all(pages.map((page) => threadMs(page, 10_000)));
        const [first_frame_ms, thread] = [spread(firstFrames[index]), seen.thread];
        report({ thread, first_frame_ms, page_thread_ms_per_s: costs.map(round), feeds: seen.fed.length, ...(await troubles(pages, [seen])) });
        for (const page of pages) await page.close();
        close();
      }
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

  /** Sound alone, Opus at 96 kbit/s from a source client: heard in all pages, how late, and what headers and signatures add. */
  music: async () => {
    const port = 20_000 + (process.pid % 10_000);
    const host = await startServe(`[ingest.icecast]\nuse = "icecast"\nconfig.listen = "127.0.0.1:${port}"\nconfig.password = "measured-here"\n`);
    const tone = ["-re", "-f", "lavfi", "-i", "sine=f=440:b=4:r=48000", "-ac", "2", "-c:a", "libopus", "-b:a", "96k"];
    const place = ["-page_duration", "100000", "-f", "ogg", `icecast://source:measured-here@127.0.0.1:${port}/live`];
    const source = spawn("ffmpeg", ["-nostdin", "-v", "error", ...tone, ...place], { stdio: ["ignore", "ignore", "inherit"] });
    const browser = await launch({ viewport: { width: 400, height: 300 } });
    await browser.context.addInitScript(shareSound);
    try {
      await untilOnAir(host.url);
      const pages = [];
      for (let index = 0; index < PAGES; index += 1) {
        pages.push(...(await openPages(browser.context, host.url, 1)));
        await pause(500);
      }
      await untilLive(pages, { timeout_ms: 60_000, every_ms: 500 });
      await pause(5_000);
      const before = await Promise.all(pages.map(status));
      const heard = [];
      for (const page of pages) heard.push(await watch(page, { ms: 1_500 }));
      const hears = ({ loudness, peak_hz }) => loudness > 0.02 && Math.abs(peak_hz - 440) < 40;
      report({ pages: PAGES, heard: heard.filter(hears).length, loudness_min: round(Math.min(...heard.map(({ loudness }) => loudness))) });
      report({ lag_ms: spread((await Promise.all(pages.map(status))).map(({ lag_ms }) => lag_ms)), ...(await troubles(pages, before)) });
      report({ copies_over_20_s: await copies({ metrics: () => metrics(host.url) }, pages, 20_000) });
    } finally {
      source.kill("SIGKILL");
      await browser.close();
      await host.close();
    }
  },

  /**
   * A real OBS, or ffmpeg with `--encoder ffmpeg`, publishes over RTMP to a page in Chromium and one in Firefox for `--minutes`: stalls,
   * lag, memory each minute; then from a recording of it how far sound and picture are apart in the first minute and in the last.
   */
  hour: async () => {
    const { launchFirefox } = await import("../firefox.mjs");
    const port = 20_000 + (process.pid % 10_000);
    const tape = `/tmp/peerstream-obs-${process.pid}.mp4`;
    const input = `[ingest.rtmp]\nuse = "rtmp"\nconfig.listen = "127.0.0.1:${port}"\nconfig.key = "measured-here"\n`;
    const host = await startServe(`${input}[archive.tape]\nuse = "file"\nconfig.path = "${tape}"\n`);
    const start = option("encoder", "obs") === "obs" ? startObs : startFfmpeg;
    const encoder = await start(`rtmp://127.0.0.1:${port}/live`, "measured-here");
    const browser = await launch({ viewport: { width: 700, height: 500 } });
    const firefox = await launchFirefox();
    try {
      await untilOnAir(host.url);
      const { pages: [chromium] } = await gather(browser.context, host.url, 1);
      const fox = await firefox.open(host.url);
      await untilLive([chromium]);
      await firefox.untilLive(fox);
      await pause(20_000);
      const pages = { chromium, firefox: fox };
      const before = { chromium: await status(chromium), firefox: await firefox.status(fox) };
      const began = Date.now();
      const minutes = Number(option("minutes", 60));
      for (let minute = 0; minute < minutes; minute += 1) {
        await pause(began + (minute + 1) * 60_000 - Date.now());
        const seen = { minute: minute + 1, ...residentMb(host.pid()) };
        for (const [name, page] of Object.entries(pages)) {
          const now = await status(page);
          const grown = (figure) => now.figures[figure] - before[name].figures[figure];
          const shown = await page.evaluate(() => {
            const video = document.querySelector("peerstream-player").video;
            const { totalVideoFrames, droppedVideoFrames } = video.getVideoPlaybackQuality();
            return { position_s: video.currentTime, frames: totalVideoFrames, dropped: droppedVideoFrames };
          });
          seen[name] = { ...shown, lag_ms: now.lag_ms, stalls: grown("stalls"), skipped: grown("skipped"), fed_by: now.feeders.length };
        }
        report(seen);
      }
      await encoder.stop();
      await pause(3_000);
      report({ sound_after_picture: { first: soundAfterPicture(tape, 10), last: soundAfterPicture(tape, minutes * 60 - 65) } });
    } finally {
      await encoder.stop();
      await Promise.all([browser.close(), firefox.close()]);
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
      const answers = {};
      const count = (request, of) => request.url().includes("api/v1/segments") && (answers[of] = (answers[of] ?? 0) + 1);
      context.on("response", (response) => count(response.request(), response.status()));
      context.on("requestfailed", (request) => count(request, request.failure()?.errorText));
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
        lost_segments: now.map(({ past_lost }) => past_lost),
        host_answers: answers,
        host_past_egress_of_stream: round(grew("past_bytes") / grew("source_produced_bytes")),
      });
      report(await troubles([...early, ...latecomers]));
    }, { archive: true }),

  /** Plays each recording in `--folder`, where `key` and `recordings` are, on its own page over every place where it does not go on. */
  kept: async () => {
    const folder = option("folder");
    const host = await startServe(archive(`${folder}/recordings`), `${folder}/key`);
    const browser = await launch({ viewport: { width: 400, height: 300 } });
    try {
      for (const { id, hls, live } of await (await fetch(`${host.url}api/v1/recordings`)).json()) {
        const parts = partsOf(await (await fetch(`${host.url}${hls}`)).text());
        if (live || parts.length === 0) continue;
        const page = await browser.context.newPage();
        await page.goto(`${host.url}recordings/${id}`);
        await page.waitForFunction(() => document.querySelector("video")?.readyState >= 2);
        const breaks = parts.filter((part) => part.breaks).map(({ start }) => start);
        const stuck = [];
        const took = [];
        for (const at of breaks) {
          const began = Date.now();
          const over = await page.evaluate(playOver, at);
          if (over) took.push(Date.now() - began);
          else stuck.push(at);
        }
        const lasts = await page.evaluate(() => document.querySelector("video").duration);
        report({ recording: id, seconds: round(lasts), breaks: breaks.length, played_over: took.length, stuck, took_ms: spread(took), errors: await page.evaluate(() => document.querySelector("video").error?.message ?? null) });
      }
    } finally {
      await browser.close();
      await host.close();
    }
  },

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
