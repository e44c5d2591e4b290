// Helpers for tests in a real browser: pages, the proof that they play, their status, their end.
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";

const CHROMIUM = process.env.PEERSTREAM_CHROMIUM ?? "/usr/bin/chromium";
const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--autoplay-policy=no-user-gesture-required",
];

/** Whether there is a Chromium to test with. */
export const hasChromium = () => existsSync(CHROMIUM);

/** Starts a Chromium with a fresh profile, `without` some of the usual flags. `close()` ends it and removes the profile. */
export async function launch({ flags = [], without = [], ...options } = {}) {
  const profile = await mkdtemp(join(tmpdir(), "peerstream-chromium-"));
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: CHROMIUM,
    headless: true,
    args: [...FLAGS.filter((flag) => !without.includes(flag)), ...flags],
    viewport: { width: 1000, height: 800 },
    ...options,
  });
  const close = async () => {
    await context.close();
    await rm(profile, { recursive: true, force: true, maxRetries: 5 });
  };
  return { context, close };
}

/** Opens `count` pages, `apart_ms` after one another. Each collects its console errors and uncaught exceptions in `page.errors`. */
export async function openPages(context, url, count, { apart_ms = 0 } = {}) {
  const pages = [];
  for (let index = 0; index < count; index += 1) {
    const page = await context.newPage();
    page.errors = [];
    page.on("pageerror", (error) => page.errors.push(String(error)));
    page.on("console", (message) => message.type() === "error" && page.errors.push(message.text()));
    page.openedAt = Date.now();
    await page.goto(url, { waitUntil: "commit" });
    pages.push(page);
    if (apart_ms > 0) await new Promise((done) => setTimeout(done, apart_ms));
  }
  return pages;
}

/** A script for `page.addInitScript`: all Workers of the page's scripts begin with what `body` does. */
export const inWorkers = (body) => `{
  const Real = Blob;
  globalThis.Blob = function (parts, options) {
    return new Real([${JSON.stringify(`(${body})();`)}, ...parts], options);
  };
}`;

/** What `element.status()` returns in a page. */
export const status = (page) => page.evaluate(() => document.querySelector("peerstream-player").status());

/** Waits until `check(status)` holds; fails with the last status. */
export async function until(page, what, check, { timeout_ms = 20_000, every_ms = 100 } = {}) {
  const deadline = Date.now() + timeout_ms;
  let last;
  while (Date.now() < deadline) {
    last = await status(page).catch((error) => ({ error: String(error) }));
    if (last && !last.error && (await check(last))) return last;
    await new Promise((done) => setTimeout(done, every_ms));
  }
  throw new Error(`not ${what} within ${timeout_ms} ms; status: ${JSON.stringify(last)}`);
}

/** Waits until all pages play. */
export const untilLive = (pages, options) =>
  Promise.all(pages.map((page) => until(page, "live", ({ state }) => state === "live", options)));

/**
 * Watches a page for `ms` and returns what shows that it really plays: how far the play head went in relation to the time that
 * passed, frames, whether picture times only grow and pixels change, the loudest tone, and what went wrong.
 */
export async function watch(page, { ms = 3_000, sound = true } = {}) {
  // Pictures are only counted in the page that is in front.
  await page.bringToFront();
  return page.evaluate(watchInPage, { ms, sound });
}

/** The four proofs of playing, as a list of what is missing; an empty one is good. */
export function missingProofs(seen, { fps = 30, tone_hz = 440, sound = true } = {}) {
  const missing = [];
  const seconds = seen.elapsed_ms / 1000;
  const want = (holds, what) => holds || missing.push(what);
  want(seen.advanced_s >= 0.8 * seconds, `play head went ${seen.advanced_s.toFixed(2)} s in ${seconds.toFixed(2)} s`);
  want(seen.frames >= 0.6 * fps * seconds, `${seen.frames} frames in ${seconds.toFixed(2)} s`);
  want(seen.pictures > 3 && seen.backwards === 0, `${seen.pictures} pictures, ${seen.backwards} of them backwards`);
  want(seen.distinct > 3, `${seen.distinct} different pictures`);
  want(seen.error === null, `media error: ${seen.error}`);
  want(seen.freezes === 0, `${seen.freezes} freezes`);
  if (sound) {
    want(seen.loudness > 0.02, `loudness ${seen.loudness}`);
    want(Math.abs(seen.peak_hz - tone_hz) < 40, `loudest tone ${seen.peak_hz} Hz`);
  }
  return missing;
}

/**
 * Waits until a page really plays: all proofs of a watched stretch. On a busy machine single stretches may lack one; a page that
 * does not play lacks them in every stretch. How well pages play is measured elsewhere (`tests/measure`).
 */
export async function untilPlaying(page, { ms = 2_000, sound = true, timeout_ms = 30_000, ...expected } = {}) {
  const deadline = Date.now() + timeout_ms;
  for (;;) {
    const missing = missingProofs(await watch(page, { ms, sound }), { sound, ...expected });
    if (missing.length === 0) return;
    if (Date.now() > deadline) throw new Error(`does not play: ${missing.join("; ")}`);
  }
}

/** Runs inside the page. */
async function watchInPage({ ms, sound }) {
  const video = document.querySelector("peerstream-player").video;
  const seen = { elapsed_ms: 0, advanced_s: 0, frames: 0, pictures: 0, backwards: 0, distinct: 0, freezes: 0, waits: 0 };
  const canvas = new OffscreenCanvas(32, 18);
  const paint = canvas.getContext("2d", { willReadFrequently: true });
  const hashes = new Set();
  let lastTime = -1;
  let watching = true;
  const picture = (_now, { mediaTime }) => {
    if (!watching) return;
    seen.pictures += 1;
    if (lastTime >= 0 && mediaTime <= lastTime) seen.backwards += 1;
    if (lastTime >= 0 && mediaTime - lastTime > 0.5) seen.freezes += 1;
    lastTime = mediaTime;
    paint.drawImage(video, 0, 0, 32, 18);
    hashes.add(paint.getImageData(0, 0, 32, 18).data.reduce((hash, byte) => (hash * 31 + byte) >>> 0, 7));
    video.requestVideoFrameCallback(picture);
  };
  video.requestVideoFrameCallback(picture);
  const waits = () => (seen.waits += 1);
  video.addEventListener("waiting", waits);
  const ears = sound ? await listen(video) : null;
  const start = { at: performance.now(), head: video.currentTime, frames: video.getVideoPlaybackQuality().totalVideoFrames };
  await new Promise((done) => setTimeout(done, ms));
  watching = false;
  video.removeEventListener("waiting", waits);
  seen.elapsed_ms = performance.now() - start.at;
  seen.advanced_s = video.currentTime - start.head;
  seen.frames = video.getVideoPlaybackQuality().totalVideoFrames - start.frames;
  seen.distinct = hashes.size;
  seen.error = video.error?.message ?? null;
  return { ...seen, ...(ears ? await ears() : {}) };

  async function listen(element) {
    const audio = (element.audioForTests ??= new AudioContext());
    await audio.resume();
    element.sourceForTests ??= audio.createMediaElementSource(element);
    const analyser = audio.createAnalyser();
    analyser.fftSize = 8192;
    element.sourceForTests.connect(analyser);
    const hear = () => {
      const wave = new Float32Array(analyser.fftSize);
      analyser.getFloatTimeDomainData(wave);
      const bins = new Float32Array(analyser.frequencyBinCount);
      analyser.getFloatFrequencyData(bins);
      const loudness = Math.sqrt(wave.reduce((sum, value) => sum + value * value, 0) / wave.length);
      const peak_hz = (bins.indexOf(Math.max(...bins)) * audio.sampleRate) / analyser.fftSize;
      return { loudness, peak_hz };
    };
    // On a busy machine the audio graph may begin seconds after it was made.
    return async () => {
      let heard = hear();
      for (let tries = 0; heard.loudness === 0 && tries < 20; tries += 1) {
        await new Promise((done) => setTimeout(done, 200));
        heard = hear();
      }
      return heard;
    };
  }
}

/** Milliseconds from the page's start to its first picture; waits for it. Call right after opening the page. */
export function firstFrameMs(page) {
  return page.evaluate(async () => {
    await customElements.whenDefined("peerstream-player");
    const video = document.querySelector("peerstream-player").video;
    return new Promise((done) => video.requestVideoFrameCallback((now) => done(now)));
  });
}

/**
 * From the moment a picture was due at the source to the moment it is on the screen, in milliseconds, for `ms`. The source replays a
 * file on schedule; `t0_ms` is its wall clock (milliseconds since 1970) at time zero of the media, as in `status.zero_ms`.
 */
export function lagMs(page, t0_ms, ms = 2_000) {
  return page.evaluate(
    ([t0, span]) =>
      new Promise((done) => {
        const video = document.querySelector("peerstream-player").video;
        const lags = [];
        const ends = performance.now() + span;
        const picture = (now, { mediaTime, expectedDisplayTime }) => {
          lags.push(performance.timeOrigin + (expectedDisplayTime ?? now) - (t0 + mediaTime * 1000));
          if (now < ends) return void video.requestVideoFrameCallback(picture);
          lags.sort((a, b) => a - b);
          const at = (share) => lags[Math.min(lags.length - 1, Math.floor(lags.length * share))];
          done({ count: lags.length, p50: at(0.5), p95: at(0.95), max: at(1) });
        };
        video.requestVideoFrameCallback(picture);
      }),
    [t0_ms, ms],
  );
}

/** Kills a page's renderer, as a crash does: nobody says goodbye. Pages of one origin may share a renderer and die together. */
export async function crash(page) {
  const session = await page.context().newCDPSession(page);
  const crashed = page.waitForEvent("crash", { timeout: 10_000 });
  session.send("Page.crash").catch(() => undefined);
  await crashed;
}
