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
const browser = process.argv.includes("--browser")
  ? readdirSync(here).filter((name) => name.endsWith(".test.mjs")).map((name) => join(here, name))
  : [];
const files = [...readdirSync(out).map((name) => join(out, name)), ...browser];
// A test that leaves a server or a browser behind must not keep the suite from ending.
const flags = ["--test", "--test-concurrency=1", "--test-force-exit"];
const { status } = spawnSync("node", [...flags, ...files], { stdio: "inherit" });
rmSync(out, { recursive: true });
process.exit(status ?? 1);
