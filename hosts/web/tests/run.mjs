// Compiles each `*.test.ts` and runs them with node's own runner. `node tests/run.mjs --browser` adds the tests that need Chromium.
import { build } from "esbuild";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const here = fileURLToPath(new URL(".", import.meta.url));
const out = mkdtempSync(join(tmpdir(), "peerstream-tests-"));
const tests = readdirSync(here).filter((name) => name.endsWith(".test.ts"));
await build({
  entryPoints: tests.map((name) => join(here, name)),
  outdir: out,
  outExtension: { ".js": ".mjs" },
  bundle: true,
  platform: "node",
  format: "esm",
  target: "node20",
  loader: { ".css": "text" },
  define: { DIST: JSON.stringify(join(here, "../dist")) },
  logLevel: "warning",
});
if (process.argv.includes("--browser") && process.env.PEERSTREAM_REQUIRE_TOOLS) {
  const { binary } = await import("./demo.mjs");
  const { hasChromium } = await import("./browser.mjs");
  if (!binary || !hasChromium()) throw new Error(binary ? "no Chromium here" : "the host is not built: cargo build");
}
/** They tell how well pages play, so nothing runs beside them. */
const ALONE = ["reload.test.mjs", "swarm.test.mjs", "worker.test.mjs"];
const browser = process.argv.includes("--browser") ? readdirSync(here).filter((name) => name.endsWith(".test.mjs")) : [];
const whole = (name) => join(here, name);
const beside = [...readdirSync(out).map((name) => join(out, name)), ...browser.filter((name) => !ALONE.includes(name)).map(whole)];
const alone = browser.filter((name) => ALONE.includes(name)).map(whole);
/** Runs these files, so many at a time. A test that leaves a server or a browser behind must not keep the suite from ending. */
const run = (files, at_once) =>
  files.length === 0 || spawnSync("node", ["--test", `--test-concurrency=${at_once}`, "--test-force-exit", ...files], { stdio: "inherit" }).status === 0;
const passed = [run(beside, 2), run(alone, 1)];
rmSync(out, { recursive: true });
process.exit(passed.every(Boolean) ? 0 : 1);
