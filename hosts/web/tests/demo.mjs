// A real host for tests: `peerstream demo` on a free port, and a page of another origin that embeds the player.
import { execFileSync, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { copyFile, cp, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { host } from "./server.mjs";

const root = fileURLToPath(new URL("../../..", import.meta.url));
const dist = fileURLToPath(new URL("../dist", import.meta.url));
const places = ["target/release/peerstream", "target/debug/peerstream"].map((path) => join(root, path));

/** The host's binary, if it was built; `PEERSTREAM_BIN` names another one. */
export const binary = [process.env.PEERSTREAM_BIN, ...places].find((path) => path && existsSync(path));

/**
 * Starts the demo with this config. `url` is the host; `key` its publisher; `restart()` ends it and starts it anew on the same port with
 * the same key, as a new broadcast; `crash()` kills it instead, so that it goes on with the broadcast; `dashboard()` is the streamer's link; `configure(text)` gives it another config while it runs. With an `input` it serves that file instead.
 */
export const startDemo = (config = "", input = undefined) => startHost(config, input ? ["serve", "--input", input, "--loop"] : ["demo"]);

const archives = () => execFileSync(binary, ["plugins", "list", "--kind", "archive"], { encoding: "utf8" });

/** Whether this host has an archive from which parts of the broadcast can be read back. */
export const readsBack = () => /\bstore\b/.test(archives());

/** The lines of a config that keep the broadcast in this folder. */
export const archive = (folder) => `[archive.shelf]\nuse = "${readsBack() ? "store" : "fs"}"\nconfig = { folder = "${folder}" }`;

/** Starts a host that plays a file once and serves on for a while after it. */
export const startOnce = (config, input) => startHost(config, ["serve", "--input", input, "--linger", "600"]);

/** Starts a host with the inputs of this config, and with a copy of this key when one is named. */
export const startServe = (config, key) => startHost(config, ["serve"], key);

async function startHost(config, command, key) {
  const folder = await mkdtemp(join(tmpdir(), "peerstream-demo-"));
  const file = join(folder, "config.toml");
  await writeFile(file, config);
  if (key) await copyFile(key, join(folder, "key"));
  let child;
  let url;
  let dashboard;
  const start = async (port) => {
    const args = [...command, "--listen", `127.0.0.1:${port}`, "--key", join(folder, "key"), "--config", file];
    child = spawn(binary, args, { stdio: ["ignore", "pipe", "pipe"] });
    const shown = await said(child, /watch at (\S+)[^]*dashboard (\S+)\s/);
    [, url, dashboard] = shown;
  };
  const stop = (signal = "SIGKILL") =>
    new Promise((done) => {
      if (child.exitCode !== null) return done();
      child.once("exit", done);
      child.kill(signal);
    });
  process.once("exit", () => child?.kill("SIGKILL"));
  await start(0);
  const { publisher } = await (await fetch(`${url}api/v1/stream`)).json();
  const again = async (signal) => {
    await stop(signal);
    await start(new URL(url).port);
  };
  const restart = () => again("SIGTERM");
  const crash = () => again("SIGKILL");
  const configure = async (text) => {
    await writeFile(file, text);
    child.kill("SIGHUP");
  };
  const close = async () => {
    await stop();
    await rm(folder, { recursive: true, force: true });
  };
  return { url, key: publisher, dashboard: () => dashboard, pid: () => child.pid, restart, crash, stop, configure, close };
}

/** Waits until a host says what matches, and returns the match; fails when the host ends first. */
export function said(child, pattern) {
  return new Promise((done, fail) => {
    let text = "";
    const hear = (part) => {
      text += part;
      const found = pattern.exec(text);
      if (found) done(found);
    };
    child.stdout.on("data", hear);
    child.stderr.on("data", hear);
    child.once("exit", (code) => fail(new Error(`host ended with ${code}: ${text}`)));
  });
}

/** Serves the built player and a page that embeds it with these attributes and this markup `inside`, from an origin of its own. */
export async function startSite(attributes, { headers = {}, style = undefined, inside = "" } = {}) {
  const files = await mkdtemp(join(tmpdir(), "peerstream-site-"));
  await cp(dist, files, { recursive: true });
  const written = Object.entries(attributes).map(([name, value]) => `${name}="${value}"`);
  const page = `<!doctype html><meta charset="utf-8"><title>Somebody else's page</title><link rel="icon" href="data:,">
${style === undefined ? "" : '<link rel="stylesheet" href="./hostile.css">'}
<script type="module" src="./peerstream.js"></script><peerstream-player ${written.join(" ")}>${inside}</peerstream-player>`;
  await writeFile(join(files, "index.html"), page);
  if (style !== undefined) await writeFile(join(files, "hostile.css"), style);
  const served = await host({}, { files, headers });
  const close = async () => {
    served.close();
    await rm(files, { recursive: true, force: true });
  };
  return { url: served.url, close };
}
