// Music from a source client: heard in whole pages, with the title that the client tells.
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { hasChromium, launch, openPages, status, until, untilLive, watch } from "./browser.mjs";
import { binary, said } from "./demo.mjs";

const hasFfmpeg = spawnSync("ffmpeg", ["-version"]).status === 0;
const lacks = [[!binary, "the host: cargo build -p peerstream-host"], [!hasChromium(), "Chromium"], [!hasFfmpeg, "ffmpeg"]];
const missing = lacks.filter(([lacking]) => lacking).map(([, what]) => what);
const options = { skip: missing.length > 0 && `there is no ${missing.join(", no ")}`, timeout: 120_000 };
let club;
let browser;

before(async () => {
  if (missing.length > 0) return;
  club = await startClub();
  browser = await launch();
  await browser.context.addInitScript(shareSound);
});

after(async () => {
  await browser?.close();
  await club?.close();
});

/** Runs in a page: an element is tapped only once, by its player or by a test; `watch` takes the player's tap. */
function shareSound() {
  const tap = AudioContext.prototype.createMediaElementSource;
  AudioContext.prototype.createMediaElementSource = function (element) {
    const source = tap.call(this, element);
    Object.assign(element, { audioForTests: this, sourceForTests: source });
    return source;
  };
}

/** A port that was free a moment ago. */
async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await new Promise((done) => server.once("listening", done));
  const { port } = server.address();
  await new Promise((done) => server.close(done));
  return port;
}

/** A host that takes source clients. `send()` starts one that sends a tone. */
async function startClub() {
  const folder = await mkdtemp(join(tmpdir(), "peerstream-club-"));
  const file = join(folder, "config.toml");
  const port = await freePort();
  await writeFile(file, `[ingest.icecast]\nuse = "icecast"\n[ingest.icecast.config]\nlisten = "127.0.0.1:${port}"\n`);
  const args = ["serve", "--listen", "127.0.0.1:0", "--key", join(folder, "key"), "--config", file];
  const host = spawn(binary, args, { stdio: ["ignore", "pipe", "pipe"] });
  const [text] = await said(host, /Icecast source client[^]*watch at (http:\/\/127\.0\.0\.1:\d+\/)/);
  const [url] = /http:\/\/127\.0\.0\.1:\d+\//.exec(text);
  const [, password] = /mount \/live, user source, password (\w+)/.exec(text);
  const clients = [];
  const send = () => {
    const input = ["-nostdin", "-v", "error", "-re", "-f", "lavfi", "-i", "sine=f=440:b=4:r=48000", "-ac", "2"];
    const output = ["-metadata", "artist=Miles", "-metadata", "title=So What", "-c:a", "libopus", "-b:a", "96k"];
    const place = ["-page_duration", "100000", "-f", "ogg", `icecast://source:${password}@127.0.0.1:${port}/live`];
    clients.push(spawn("ffmpeg", [...input, ...output, ...place], { stdio: "ignore" }));
  };
  const tell = async (song) => {
    const headers = { authorization: `Basic ${Buffer.from(`source:${password}`).toString("base64")}` };
    const answer = await fetch(`http://127.0.0.1:${port}/admin/metadata?mode=updinfo&mount=/live&song=${song}`, { headers });
    assert.equal(answer.status, 200);
  };
  const stream = async () => (await fetch(`${url}api/v1/stream`)).json();
  const end = () => [...clients, host].forEach((child) => child.kill("SIGKILL"));
  process.once("exit", end);
  const close = async () => {
    end();
    await rm(folder, { recursive: true, force: true });
  };
  return { url, send, tell, stream, close };
}

/** Waits until the host says that this is played. */
async function untilPlayed(title) {
  const deadline = Date.now() + 20_000;
  for (;;) {
    const { playing } = await club.stream();
    if (playing === title) return;
    if (Date.now() > deadline) throw new Error(`"${playing}" is played instead of "${title}"`);
    await new Promise((done) => setTimeout(done, 100));
  }
}

/** Waits until a page is heard: the play head moves and the loudest tone is the one that is sent. */
async function untilHeard(page) {
  const deadline = Date.now() + 40_000;
  for (;;) {
    const { elapsed_ms, advanced_s, error, loudness, peak_hz } = await watch(page);
    const heard = loudness > 0.02 && Math.abs(peak_hz - 440) < 40;
    if (heard && error === null && advanced_s >= (0.8 * elapsed_ms) / 1000) return;
    if (Date.now() > deadline) {
      const shown = JSON.stringify({ elapsed_ms, advanced_s, error, loudness, peak_hz, ...(await status(page)) });
      throw new Error(`not heard: ${shown}`);
    }
  }
}

test("what a source client sends is heard in two pages, and its titles are told", options, async () => {
  club.send();
  await untilPlayed("Miles - So What");
  const pages = await openPages(browser.context, club.url, 2, { apart_ms: 500 });
  await untilLive(pages);
  for (const page of pages) {
    await untilHeard(page);
    await until(page, "told the title", ({ title }) => title === "Miles - So What");
  }
  await club.tell("Bj%C3%B6rk+-+J%C3%B3ga");
  await untilPlayed("Björk - Jóga");
  for (const page of pages) {
    await until(page, "told the next title", ({ title }) => title === "Björk - Jóga");
    await untilHeard(page);
    const { figures, lag_ms, player } = await until(page, "titled", ({ title }) => title === "Björk - Jóga");
    assert.equal(await page.locator(".title").innerText(), "Björk - Jóga");
    assert.equal(player.restarts, 0);
    assert.deepEqual([figures.offences, figures.skipped], [0, 0]);
    assert.ok(lag_ms < 4_000, `${lag_ms} ms behind`);
    assert.deepEqual(page.errors, []);
  }
  const { mime } = await club.stream();
  assert.equal(mime, 'audio/mp4; codecs="opus"');
});
