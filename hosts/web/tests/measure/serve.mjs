// `peerstream serve` of the measuring clip, for measurements: its address, its metrics, its overlay.
import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { binary, said } from "../demo.mjs";
import { makeClip } from "./clip.mjs";

/** Starts serving on this address, such as `127.0.0.1:0`, with this program; `archive`: what it serves is kept too. */
export async function serve({ listen = "127.0.0.1:0", program = binary, archive = false } = {}) {
  const clip = await makeClip();
  const folder = await mkdtemp(join(tmpdir(), "peerstream-serve-"));
  let child;
  let url;
  const start = async (address) => {
    const args = ["serve", "--input", clip, "--loop", "--listen", address, "--key", join(folder, "key"), "--log", "warn"];
    if (archive) args.push("--set", 'archive.main.use="store"', "--set", `archive.main.config.folder="${join(folder, "kept")}"`);
    child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"] });
    [url] = await said(child, /http:\/\/127\.0\.0\.1:\d+\//);
  };
  await start(listen);
  const stop = (signal = "SIGKILL") =>
    new Promise((done) => {
      if (child.exitCode !== null || child.signalCode !== null) return done();
      child.once("exit", done);
      child.kill(signal);
    });
  return {
    get url() {
      return url;
    },
    pid: () => child.pid,
    overlay: async () => (await fetch(`${url}api/v1/overlay`)).json(),
    metrics: () => metrics(url),
    /** Another broadcast begins. */
    restart: async () => {
      await stop("SIGTERM");
      await start(listen.replace(/:\d+$/, `:${new URL(url).port}`));
    },
    close: async () => {
      await stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** The figures of a host, by their names with labels. */
export async function metrics(url) {
  const text = await (await fetch(`${url}metrics`)).text();
  const lines = text.split("\n").filter((line) => line && !line.startsWith("#"));
  return Object.fromEntries(lines.map((line) => [line.slice(0, line.lastIndexOf(" ")), Number(line.slice(line.lastIndexOf(" ") + 1))]));
}
