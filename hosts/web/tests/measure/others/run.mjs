// The same live camera seen through others, on this machine: `node tests/measure/others/run.mjs hls|p2p [--pages N] [--sync N] [--seconds N]`.
// First `npm install --ignore-scripts` in this folder, and Debian's libnginx-mod-rtmp. Beside it run `tests/measure/run.mjs live`.
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

import { launch } from "../../browser.mjs";
import { camera } from "../camera.mjs";
import { glassToGlass } from "../clip.mjs";
import { pause, spread } from "../numbers.mjs";
import { startNginx } from "./nginx.mjs";

const option = (name, otherwise) => {
  const at = process.argv.indexOf(`--${name}`);
  return at > 0 ? process.argv[at + 1] : otherwise;
};
const PAGES = Number(option("pages", 5));
/** Segments that hls.js stays behind the newest one; 3 is its default. */
const SYNC = Number(option("sync", 3));
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

/** Publishes to nginx, opens the pages half a second apart, and reports lags, first pictures and what `more` finds. */
async function measure(entry, values, more = async () => ({})) {
  const nginx = await startNginx({ "index.html": page, "player.js": await bundled(entry, { ...values, SYNC }) });
  const source = camera(`${nginx.rtmp}/measured`);
  const browser = await launch({ viewport: { width: 700, height: 450 } });
  try {
    await nginx.untilOnAir("measured");
    const pages = [];
    const firstFrames = [];
    for (let index = 0; index < PAGES; index += 1) {
      const opened = await browser.context.newPage();
      opened.on("pageerror", (error) => console.error(String(error)));
      await opened.goto(nginx.url, { waitUntil: "commit" });
      firstFrames.push(
        opened.evaluate(async () => {
          while (!document.querySelector("video")) await new Promise((done) => setTimeout(done, 5));
          return new Promise((done) => document.querySelector("video").requestVideoFrameCallback((now) => done(now)));
        }),
      );
      pages.push(opened);
      await pause(500);
    }
    report({ pages: PAGES, sync: SYNC, first_frame_ms: spread(await Promise.all(firstFrames)) });
    await pause(10_000);
    await more(pages);
    const lags = [];
    const ends = Date.now() + SECONDS * 1_000;
    while (Date.now() < ends) {
      for (const one of pages) lags.push(...(await glassToGlass(one)).lags);
    }
    const stalls = await Promise.all(pages.map((one) => one.evaluate(() => globalThis.stalls)));
    report({ glass_to_glass_ms: spread(lags), pictures: lags.length, stalls, ...(await more(pages)) });
  } finally {
    source.stop();
    await browser.close().catch(() => undefined);
    await nginx.close();
  }
}

const scenarios = {
  /** hls.js alone. */
  hls: () => measure("hls.js", {}),

  /** hls.js with p2p-media-loader and a tracker on this machine: which share of the bytes came from peers. */
  p2p: async () => {
    const { default: Server } = await import("bittorrent-tracker/server");
    const tracker = new Server({ udp: false, http: false, ws: true, stats: false });
    await new Promise((done) => tracker.listen(0, "127.0.0.1", done));
    const port = tracker.ws.options.server.address().port;
    let before;
    await measure("p2p.js", { TRACKER: `ws://127.0.0.1:${port}` }, async (pages) => {
      const all = await Promise.all(pages.map((one) => one.evaluate(() => ({ ...globalThis.bytes }))));
      const sum = (kind) => all.reduce((total, bytes) => total + bytes[kind], 0);
      const now = { http: sum("http"), p2p: sum("p2p") };
      before ??= now;
      const [http, p2p] = [now.http - before.http, now.p2p - before.p2p];
      return { http, p2p, offload: Math.round((p2p / (http + p2p)) * 1_000) / 1_000 };
    });
    tracker.close();
  },
};

const scenario = scenarios[process.argv[2]];
if (!scenario) {
  console.error(`scenarios: ${Object.keys(scenarios).join(", ")}`);
  process.exit(2);
}
await scenario();
process.exit(0);
