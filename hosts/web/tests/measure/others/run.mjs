// The same live camera seen through others, on this machine: `node tests/measure/others/run.mjs hls|p2p|ours [--pages N] [--sync N] [--fragment S]
// [--seconds N]`, for `p2p` also `[--demand S] [--seeds N]`.
// First `npm install --ignore-scripts` in this folder, and Debian's libnginx-mod-rtmp; for `ours` a built host.
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

import { firstFrameMs, launch, status } from "../../browser.mjs";
import { startServe } from "../../demo.mjs";
import { camera } from "../camera.mjs";
import { glassToGlass } from "../clip.mjs";
import { pause, spread } from "../numbers.mjs";
import { metrics } from "../serve.mjs";
import { startNginx } from "./nginx.mjs";

const option = (name, otherwise) => {
  const at = process.argv.indexOf(`--${name}`);
  return at > 0 ? process.argv[at + 1] : otherwise;
};
const PAGES = Number(option("pages", 5));
/** Segments that hls.js stays behind the newest one; 3 is its default. */
const SYNC = Number(option("sync", 3));
/** Seconds of a fragment, and from one key picture to the next. */
const FRAGMENT_S = Number(option("fragment", 1));
/** Seconds ahead of the play head that p2p-media-loader fetches over HTTP at once; 15 is its default. */
const DEMAND_S = Number(option("demand", 15));
/** Pages, the first ones, that fetch all of it over HTTP. */
const SEEDS = Number(option("seeds", 0));
const SECONDS = Number(option("seconds", 60));
const report = (what) => console.log(JSON.stringify(what));
const here = (name) => fileURLToPath(new URL(name, import.meta.url));

/** A page with one element and one script. */
const page = '<!doctype html><meta charset="utf-8"><video muted autoplay playsinline width="640" height="360"></video><script type="module" src="player.js"></script>';

async function bundled(entry, values) {
  const define = Object.fromEntries(Object.entries(values).map(([name, value]) => [name, JSON.stringify(value)]));
  // Its own bundle has the parts of node in it that browsers lack.
  const conditions = ["p2pml:core-as-bundle", "browser"];
  const options = { bundle: true, write: false, format: "esm", logLevel: "error" };
  const built = await build({ entryPoints: [here(entry)], define, conditions, ...options });
  return built.outputFiles[0].text;
}

/**
 * Opens the pages of these addresses half a second apart, and reports lags, first pictures and what `more` finds between the moment they have
 * settled and the end.
 */
async function watched(urls, { settle_ms, player, more = async () => ({}) }) {
  // Names of mDNS lead nowhere where nothing resolves them.
  const browser = await launch({ viewport: { width: 700, height: 450 }, flags: ["--disable-features=WebRtcHideLocalIpsWithMdns"] });
  try {
    const [pages, firstFrames] = [[], []];
    for (const url of urls) {
      const opened = await browser.context.newPage();
      opened.on("pageerror", (error) => console.error(String(error)));
      await opened.goto(url, { waitUntil: "commit" });
      firstFrames.push(player.firstFrame(opened));
      pages.push(opened);
      await pause(500);
    }
    report({ pages: PAGES, first_frame_ms: spread(await Promise.all(firstFrames)) });
    await pause(settle_ms);
    await more(pages);
    const before = await Promise.all(pages.map(player.stalls));
    const lags = [];
    const ends = Date.now() + SECONDS * 1_000;
    while (Date.now() < ends) {
      for (const one of pages) lags.push(...(await glassToGlass(one)).lags);
    }
    const stalls = (await Promise.all(pages.map(player.stalls))).map((count, index) => count - before[index]);
    report({ glass_to_glass_ms: spread(lags), pictures: lags.length, stalls, ...(await more(pages)) });
  } finally {
    await browser.close().catch(() => undefined);
  }
}

const share = (part, whole) => Math.round((part / whole) * 1_000) / 1_000;

/** The page that plays with hls.js. */
const plain = {
  firstFrame: (page) =>
    page.evaluate(async () => {
      while (!document.querySelector("video")) await new Promise((done) => setTimeout(done, 5));
      return new Promise((done) => document.querySelector("video").requestVideoFrameCallback((now) => done(now)));
    }),
  stalls: (page) => page.evaluate(() => globalThis.stalls),
};

/** Publishes to nginx and has its HLS watched. */
async function hls(entry, values, more) {
  report({ sync: SYNC, fragment_s: FRAGMENT_S, ...values });
  const nginx = await startNginx({ "index.html": page, "player.js": await bundled(entry, { ...values, SYNC }) }, { fragment_s: FRAGMENT_S });
  const source = camera(`${nginx.rtmp}/measured`, { keys_s: FRAGMENT_S });
  try {
    await nginx.untilOnAir("measured");
    const urls = Array.from({ length: PAGES }, (_, index) => `${nginx.url}${index < SEEDS ? "?demand=3000" : ""}`);
    await watched(urls, { settle_ms: 10_000 + 1_000 * FRAGMENT_S * SYNC, player: plain, more });
  } finally {
    source.stop();
    await nginx.close();
  }
}

const scenarios = {
  /** hls.js alone. */
  hls: () => hls("hls.js", {}),

  /** hls.js with p2p-media-loader and a tracker on this machine: which share of the bytes came from peers. */
  p2p: async () => {
    const { default: Server } = await import("bittorrent-tracker/server");
    const tracker = new Server({ udp: false, http: false, ws: true, stats: false });
    await new Promise((done) => tracker.listen(0, "127.0.0.1", done));
    const port = tracker.ws.options.server.address().port;
    let last;
    await hls("p2p.js", { TRACKER: `ws://127.0.0.1:${port}`, DEMAND_S }, async (pages) => {
      const now = await Promise.all(pages.map((one) => one.evaluate(() => ({ ...globalThis.bytes, ...globalThis.swarm }))));
      const grown = (kind) => now.map((one, index) => one[kind] - (last?.[index][kind] ?? 0));
      const sum = (kind) => grown(kind).reduce((total, bytes) => total + bytes, 0);
      const [http, p2p, http_each] = [sum("http"), sum("p2p"), grown("http")];
      const found = { peers: now.map(({ peers }) => peers), troubles: sum("failed") + sum("warnings") };
      last = now;
      return { seeds: SEEDS, ...found, http, p2p, http_each, offload: share(p2p, http + p2p) };
    });
    tracker.close();
  },

  /**
   * Ours with one root: which share of the bytes the host did not send. All that it sends is counted: payload, headers and other words, what newcomers get
   * over control connections and over HTTP; of what pages receive the payload alone.
   */
  ours: async () => {
    const port = 20_000 + (process.pid % 10_000);
    const input = `[ingest.rtmp]\nuse = "rtmp"\nconfig.listen = "127.0.0.1:${port}"\nconfig.key = "measured-here"\n`;
    const host = await startServe(`${input}[strategy]\nuse = "dumbbell"\nconfig.roots = 1\n`);
    const source = camera(`rtmp://127.0.0.1:${port}/live/measured-here`, { keys_s: FRAGMENT_S });
    const player = { firstFrame: firstFrameMs, stalls: async (page) => (await status(page)).figures.stalls };
    let last;
    const more = async (pages) => {
      const [told, ...seen] = await Promise.all([metrics(host.url), ...pages.map(status)]);
      const of = (ending) => told[Object.keys(told).find((name) => name.endsWith(`${ending}_total`))] ?? 0;
      const now = {
        produced: of("source_produced_bytes"),
        payload: of("source_sent_bytes"),
        words: of("source_overhead_bytes"),
        starters: of("coordinator_starter_bytes"),
        fallback: of("fallback_bytes"),
        received: seen.reduce((total, { figures }) => total + figures.payload_received, 0),
        repeated: seen.reduce((total, { figures }) => total + figures.payload_repeated, 0),
      };
      const grown = Object.fromEntries(Object.entries(now).map(([name, bytes]) => [name, bytes - (last?.[name] ?? 0)]));
      last = now;
      const sent = grown.payload + grown.words + grown.starters + grown.fallback;
      return { ...grown, copies: share(grown.payload, grown.produced), offload: share(grown.received - sent, grown.received) };
    };
    try {
      while ((await (await fetch(`${host.url}api/v1/stream`)).json()).state !== "live") await pause(100);
      await watched(Array(PAGES).fill(host.url), { settle_ms: 10_000, player, more });
    } finally {
      source.stop();
      await host.close();
    }
  },
};

const scenario = scenarios[process.argv[2]];
if (!scenario) {
  console.error(`scenarios: ${Object.keys(scenarios).join(", ")}`);
  process.exit(2);
}
await scenario();
process.exit(0);
