// The player in a real Chromium before the real host: its controls, and what it does where the page, the browser or the network is hard on it.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, afterEach, before, test } from "node:test";
import { fileURLToPath } from "node:url";

import { hasChromium, inWorkers, launch, missingProofs, openPages, status, until, untilLive, watch } from "./browser.mjs";
import { binary, startDemo, startSite } from "./demo.mjs";
import { hasFirefox, launchFirefox } from "./firefox.mjs";

const missing = !binary ? "the host is not built: cargo build -p peerstream-host" : !hasChromium() && "no Chromium here";
const options = { skip: missing || false, timeout: 120_000 };
const AXE = fileURLToPath(new URL("../node_modules/axe-core/axe.min.js", import.meta.url));
const RADIO = fileURLToPath(new URL("../../../framework/media/tests/fixtures/opus.mp4", import.meta.url));
let demo;
let browser;

before(async () => {
  if (missing) return;
  demo = await startDemo();
  browser = await launch();
});

afterEach(async () => {
  for (const page of browser?.context.pages() ?? []) await page.close({ runBeforeUnload: false });
});

after(async () => {
  await browser?.close();
  await demo?.close();
});

async function embedded(t, attributes, { headers, style, inside, init, context = browser.context } = {}) {
  const site = await startSite({ src: demo.url, ...attributes }, { headers, style, inside });
  t.after(site.close);
  const page = await context.newPage();
  page.errors = [];
  page.on("pageerror", (error) => page.errors.push(String(error)));
  page.on("console", (message) => message.type() === "error" && page.errors.push(message.text()));
  if (init) await page.addInitScript(init);
  await page.goto(site.url);
  return page;
}

const media = (page) =>
  page.evaluate(() => {
    const { paused, muted, volume, currentTime } = document.querySelector("peerstream-player").video;
    return { paused, muted, volume, currentTime };
  });

/** Waits until something holds of the media element. */
async function untilMedia(page, what, holds) {
  const deadline = Date.now() + 10_000;
  let now;
  while (Date.now() < deadline) {
    now = await media(page);
    if (holds(now)) return now;
    await page.waitForTimeout(50);
  }
  throw new Error(`not ${what}: ${JSON.stringify(now)}`);
}

test("everything can be done with the keyboard, and the live edge is one key away", options, async (t) => {
  const page = await embedded(t, {});
  await untilLive([page]);
  await page.locator(".screen").focus();
  await page.keyboard.press("m");
  await untilMedia(page, "muted", ({ muted }) => muted);
  await page.keyboard.press("ArrowDown");
  await untilMedia(page, "quieter and heard", ({ volume, muted }) => volume === 0.95 && !muted);
  await page.keyboard.press("k");
  await untilMedia(page, "paused", ({ paused }) => paused);
  await page.getByRole("button", { name: "Back to live" }).waitFor();
  await page.waitForTimeout(3_000);
  assert.equal((await status(page)).state, "live", "a pause is no loss of the stream");
  await page.keyboard.press("l");
  await untilMedia(page, "playing", ({ paused }) => !paused);
  await until(page, "near the edge", ({ player, target_ms }) => player.ahead < target_ms / 1000 + 0.6);
  await page.keyboard.press("f");
  await page.waitForFunction(() => document.querySelector("peerstream-player").shadowRoot.fullscreenElement);
  await page.keyboard.press("f");
  await page.waitForFunction(() => !document.fullscreenElement);
  await page.getByRole("button", { name: "Pause" }).focus();
  await page.keyboard.press("Space");
  await untilMedia(page, "paused once", ({ paused }) => paused);
  await page.getByRole("button", { name: "Play", exact: true }).click();
  await untilMedia(page, "playing", ({ paused }) => !paused);
  assert.deepEqual(page.errors, []);
});

test("Picture-in-Picture opens and closes with a key and with its button, and plays on meanwhile", options, async (t) => {
  const page = await embedded(t, {});
  await untilLive([page]);
  const open = (wanted) => page.waitForFunction((wanted) => (document.pictureInPictureElement !== null) === wanted, wanted);
  await page.locator(".screen").focus();
  await page.keyboard.press("i");
  await open(true);
  const { currentTime } = await media(page);
  await untilMedia(page, "playing on", (now) => now.currentTime > currentTime + 0.5 && !now.paused);
  await page.getByRole("button", { name: "Picture-in-Picture" }).click();
  await open(false);
  assert.equal((await status(page)).state, "live");
  assert.deepEqual(page.errors, []);
});

test("a captions track in the element is shown and hidden, and has a button only where there is one", options, async (t) => {
  const cues = encodeURIComponent("WEBVTT\n\n00:00:00.000 --> 99:00:00.000\nWords for the deaf\n");
  const inside = `<track kind="captions" srclang="en" label="English" src="data:text/vtt,${cues}">`;
  const page = await embedded(t, {}, { inside });
  await untilLive([page]);
  const shown = (text) =>
    page.waitForFunction((text) => {
      const [track] = document.querySelector("peerstream-player").video.textTracks;
      const words = track.mode === "showing" ? [...(track.activeCues ?? [])].map((cue) => cue.text).join() : "";
      return words === text;
    }, text);
  await shown("");
  await page.locator(".screen").focus();
  await page.keyboard.press("c");
  await shown("Words for the deaf");
  await page.getByRole("button", { name: "captions" }).click();
  await shown("");
  const bare = await embedded(t, {});
  await untilLive([bare]);
  assert.equal(await bare.getByRole("button", { name: "captions" }).count(), 0);
});

test("axe finds nothing to complain about, in light and in dark", options, async (t) => {
  const [page] = await openPages(browser.context, demo.url, 1);
  await untilLive([page]);
  await page.addScriptTag({ path: AXE });
  for (const colorScheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
    const { violations } = await page.evaluate(() => axe.run(document, { resultTypes: ["violations"] }));
    const told = violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ target, failureSummary }) => `${target} ${failureSummary}`)}`);
    assert.deepEqual(told, [], colorScheme);
  }
  t.diagnostic("checked the host's page while it plays");
});

test("it plays under a strict policy and beside hostile styles", options, async (t) => {
  const origin = new URL(demo.url).origin;
  const policy = [
    "default-src 'none'",
    "script-src 'self' 'wasm-unsafe-eval'",
    "style-src 'self'",
    `connect-src 'self' ${origin} ${origin.replace("http", "ws")}`,
    "media-src blob:",
    "worker-src blob:",
    "img-src data:",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
  ].join("; ");
  const style = `* { all: revert; color: red !important; font: 40px/3 cursive !important; box-sizing: content-box !important; text-transform: uppercase }
    div, button, video, svg, input, dl { display: none !important; position: static !important; opacity: 0 !important }`;
  const page = await embedded(t, {}, { headers: { "content-security-policy": policy }, style });
  await untilLive([page]);
  assert.deepEqual(missingProofs(await watch(page, { ms: 1_500, sound: false }), { sound: false }), []);
  const seen = await page.evaluate(() => {
    const find = (selector) => document.querySelector("peerstream-player").shadowRoot.querySelector(selector);
    const { display, color, fontSize, textTransform } = getComputedStyle(find(".state"));
    return { display, color, fontSize, textTransform, button: find(".play").getBoundingClientRect().width };
  });
  assert.deepEqual({ ...seen, button: seen.button >= 40 }, { display: "flex", color: seen.color, fontSize: "15px", textTransform: "none", button: true });
  assert.notEqual(seen.color, "rgb(255, 0, 0)");
  const own = page.errors.filter((text) => !/trusted|Worker/i.test(text));
  assert.deepEqual(own, [], "the clock in a Worker is the one thing it does without");
});

test("a page whose browser has no WebRTC is sent the stream by the host, verified, and passes nothing on", options, async (t) => {
  const page = await embedded(t, { publisher: demo.key }, { init: () => delete globalThis.RTCPeerConnection });
  await untilLive([page]);
  const seen = await until(page, "on the fallback", ({ fallback, fetched }) => fallback && fetched > 500_000);
  assert.equal(seen.resting, "linkless");
  assert.deepEqual([seen.relay, seen.fed, seen.figures.offences, seen.figures.skipped], [false, [], 0, 0]);
  assert.deepEqual(missingProofs(await watch(page, { ms: 2_000, sound: false }), { sound: false }), []);
  assert.match(await page.locator(".fed-by").innerText(), /the host, over HTTP/);
  const metrics = await (await fetch(`${demo.url}metrics`)).text();
  assert.match(metrics, /peerstream_fallback_viewers 1\n/);
});

test("a page whose network blocks WebRTC falls back, and comes back to the overlay when it is let through", options, async (t) => {
  const init = () => {
    const Real = RTCPeerConnection;
    globalThis.blocked = true;
    globalThis.RTCPeerConnection = function (config) {
      // Without TURN servers no candidate is left.
      return new Real({ ...config, iceTransportPolicy: globalThis.blocked ? "relay" : "all" });
    };
  };
  const page = await embedded(t, {}, { init });
  await untilLive([page]);
  await until(page, "on the fallback", ({ fallback, fetched }) => fallback && fetched > 300_000);
  await page.evaluate(() => (globalThis.blocked = false));
  const back = await until(page, "back", ({ fallback, feeders }) => !fallback && feeders.length > 0, { timeout_ms: 60_000 });
  assert.equal(back.figures.offences, 0);
  assert.deepEqual(missingProofs(await watch(page, { ms: 2_000, sound: false }), { sound: false }), []);
});

test("a viewer that hides its address gets the stream and meets nobody", options, async (t) => {
  const page = await embedded(t, { "hide-ip": "" });
  await untilLive([page]);
  const seen = await until(page, "on the fallback", ({ fallback, fetched }) => fallback && fetched > 0);
  assert.deepEqual([seen.links, seen.relay], [0, false]);
});

test("the host gives to as many as its budget is enough for; the next one gets what another leaves", options, async (t) => {
  const narrow = await startDemo("[fallback]\nbudget_mbps = 1\n");
  t.after(narrow.close);
  const init = () => delete globalThis.RTCPeerConnection;
  const first = await embedded(t, { src: narrow.url }, { init });
  await untilLive([first]);
  const second = await embedded(t, { src: narrow.url }, { init });
  await until(second, "turned away", async () => /fallback_refusals_total [1-9]/.test(await (await fetch(`${narrow.url}metrics`)).text()));
  assert.equal((await status(second)).fetched, 0);
  assert.equal((await status(first)).state, "live");
  await first.close();
  await untilLive([second], { timeout_ms: 60_000 });
});

test("a budget of nothing is kept, and the page does not hope for more", options, async (t) => {
  const stingy = await startDemo("[fallback]\nbudget_mbps = 0\n");
  t.after(stingy.close);
  const { fallback } = await (await fetch(`${stingy.url}api/v1/stream`)).json();
  assert.equal(fallback, null);
  assert.equal((await fetch(`${stingy.url}api/v1/live`)).status, 404);
});

test("nothing is relayed on a line that is to save data, nor before the viewer has agreed", options, async (t) => {
  const saving = () => Object.defineProperty(navigator, "connection", { value: Object.assign(new EventTarget(), { saveData: true }) });
  const thrifty = await embedded(t, {}, { init: saving });
  await untilLive([thrifty]);
  assert.deepEqual([(await status(thrifty)).resting, (await status(thrifty)).relay], ["metered", false]);
  const asked = await embedded(t, { consent: "ask", notice: "We share.", "notice-href": "/policy" });
  await untilLive([asked]);
  assert.equal((await status(asked)).relay, false);
  await asked.getByRole("button", { name: "Relay" }).click();
  await until(asked, "relaying", ({ relay, resting }) => relay && resting === null);
  assert.equal(await asked.getByRole("button", { name: "Only watch" }).count(), 0);
  assert.match(await asked.locator(".notice").innerText(), /We share/);
  assert.match(await asked.getByRole("link", { name: "More about this" }).getAttribute("href"), /\/policy$/);
});

test("an upload cap decides how many pages are fed", options, async (t) => {
  const { bits_per_second: rate } = await (await fetch(`${demo.url}api/v1/stream`)).json();
  assert.ok(rate > 100_000, `${rate} bit/s`);
  const page = await embedded(t, { "upload-mbps": String((rate * 1.5) / 1e6) });
  await untilLive([page]);
  assert.deepEqual([(await status(page)).resting, (await status(page)).relay], ["cap", false]);
  await page.evaluate(() => document.querySelector("peerstream-player").setAttribute("upload-mbps", "1000"));
  await until(page, "relaying", ({ state, relay }) => state === "live" && relay);
});

test("a page that may not play sound plays muted and says how to change that", options, async (t) => {
  const policy = ["--autoplay-policy=document-user-activation-required"];
  const strict = await launch({ flags: policy, without: ["--autoplay-policy=no-user-gesture-required"] });
  t.after(strict.close);
  // Whatever a test asks a page counts as its user's hand, so the page has to tell by itself.
  const init = () =>
    document.addEventListener("peerstream-state", ({ target, detail }) => {
      console.log(`${detail}, ${target.video.muted ? "muted" : "heard"}`);
    });
  const told = strict.context.waitForEvent("console", { predicate: (message) => /^live/.test(message.text()), timeout: 30_000 });
  await embedded(t, {}, { context: strict.context, init });
  const page = strict.context.pages().at(-1);
  assert.equal((await told).text(), "live, muted");
  await page.getByRole("button", { name: "Turn the sound on" }).click();
  await untilMedia(page, "heard", ({ muted, paused }) => !muted && !paused);
  assert.equal(await page.getByRole("button", { name: "Turn the sound on" }).count(), 0);
});

test("sound without pictures is played, and drawn", options, async (t) => {
  const radio = await startDemo("", RADIO);
  t.after(radio.close);
  const [page] = await openPages(browser.context, radio.url, 1);
  await untilLive([page]);
  await page.waitForFunction(() => {
    const { shadowRoot } = document.querySelector("peerstream-player");
    const canvas = shadowRoot.querySelector(".tones");
    const { width, height } = canvas;
    const pixels = canvas.getContext("2d").getImageData(0, 0, width, height).data;
    let drawn = 0;
    for (let at = 3; at < pixels.length; at += 4) drawn += pixels[at] > 0 ? 1 : 0;
    return !canvas.hidden && drawn > 0.03 * width * height;
  }, null, { timeout: 20_000 });
  const before = (await media(page)).currentTime;
  await page.waitForTimeout(2_000);
  assert.ok((await media(page)).currentTime - before > 1.5);
  assert.equal(await page.locator(".full").isVisible(), false, "there is nothing to fill a screen with");
});

/** Lets the pieces of some segments never come, however often the node asks for them. */
function losing() {
  const { instantiate } = WebAssembly;
  globalThis.lost = [Infinity, Infinity];
  WebAssembly.instantiate = async (...args) => {
    const { exports } = await instantiate(...args);
    const isLost = (length) => {
      const frame = new DataView(exports.memory.buffer, exports.ps_buffer(length), length);
      const seq = length > 10 && frame.getUint8(0) === 1 ? Number(frame.getBigUint64(1, true)) : -1;
      return seq >= globalThis.lost[0] && seq < globalThis.lost[1];
    };
    const lossy = (...given) => (isLost(given.at(-1)) ? 0 : exports.ps_frame(...given));
    return { exports: { ...exports, ps_frame: lossy } };
  };
}

/** Loses segments of 100 ms; what the player went through in the four seconds after that. */
async function afterLoss(page, count = 3) {
  await untilLive([page]);
  await page.waitForTimeout(3_000);
  const before = await status(page);
  const lost = [before.figures.next + 10, before.figures.next + 10 + count];
  for (const worker of page.workers()) await worker.evaluate((lost) => (globalThis.lost = lost), lost);
  await until(page, "behind the hole", ({ figures }) => figures.skipped >= before.figures.skipped + count);
  const ranges = await page.evaluate(() => document.querySelector("peerstream-player").video.buffered.length);
  await page.waitForTimeout(4_000);
  const now = await status(page);
  const error = await page.evaluate(() => document.querySelector("peerstream-player").video.error?.message ?? null);
  const seeks = now.player.seeks - before.player.seeks;
  const stalls = now.figures.stalls - before.figures.stalls;
  return { ranges, error, seeks, stalls, ahead: now.player.ahead, skipped: now.figures.skipped - before.figures.skipped, restarts: now.player.restarts, state: now.state };
}

test("a lost segment is bridged over: no hole in the buffer, no restart, and little is skipped", options, async (t) => {
  const bridged = await afterLoss(await embedded(t, { fallback: "off" }, { init: inWorkers(losing) }));
  assert.deepEqual([bridged.ranges, bridged.error, bridged.restarts, bridged.state], [1, null, 0, "live"]);
  const jumped = await afterLoss(await embedded(t, { fallback: "off", bridging: "off" }, { init: inWorkers(losing) }));
  assert.deepEqual([jumped.error, jumped.restarts, jumped.state], [null, 0, "live"]);
  t.diagnostic(`skipped ${bridged.skipped} segments with bridges, ${jumped.skipped} without; ranges ${bridged.ranges} and ${jumped.ranges}`);
});

test("a hole of seconds, as a publisher that was away leaves it, is jumped over once, to the live edge", options, async (t) => {
  const seen = await afterLoss(await embedded(t, { fallback: "off" }, { init: inWorkers(losing) }), 50);
  assert.deepEqual([seen.error, seen.restarts, seen.state], [null, 0, "live"]);
  assert.ok(seen.skipped >= 50, `${seen.skipped} segments skipped`);
  assert.ok(seen.seeks >= 1 && seen.seeks <= 2, `${seen.seeks} seeks: ${JSON.stringify(seen)}`);
  assert.ok(seen.ahead < 2.5, `${seen.ahead} s behind the newest segment`);
  assert.ok(seen.stalls >= 1, "waiting for what comes behind the hole is a stall, and told");
});

const firefox = { skip: missing || (!hasFirefox() && "no Firefox here"), timeout: 120_000 };

test("Firefox plays with the same keys, and without WebRTC over HTTP", firefox, async (t) => {
  const browser = await launchFirefox({ "media.peerconnection.enabled": false });
  t.after(browser.close);
  const page = await browser.open(demo.url);
  let seen = await browser.untilLive(page, 60_000);
  // The first segments come over the control connection.
  for (let tries = 0; tries < 50 && !seen.fallback; tries += 1) {
    await new Promise((done) => setTimeout(done, 200));
    seen = await browser.status(page);
  }
  assert.deepEqual([seen.fallback, seen.resting, seen.figures.offences], [true, "linkless", 0]);
  assert.equal(seen.thread, "page", "it lets no Worker have media");
  const before = await browser.status(page);
  await page.evaluate(() => document.querySelector("peerstream-player").shadowRoot.querySelector(".screen").focus());
  await page.keyboard.press("m");
  const deadline = Date.now() + 20_000;
  let now;
  do {
    await new Promise((done) => setTimeout(done, 200));
    now = await browser.status(page);
  } while (Date.now() < deadline && !(now.player.muted && now.player.position > before.player.position + 1));
  assert.equal(now.player.muted, true);
  assert.ok(now.player.position > before.player.position + 1, "it plays on");
});
