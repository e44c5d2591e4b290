// Compiles each `*.test.ts` and runs them with node's own runner. `node tests/run.mjs --browser` adds the tests that need Chromium.
import { build } from "esbuild";
import { spawn } from "node:child_process";
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
const AT_ONCE = 2;
const browser = process.argv.includes("--browser") ? readdirSync(here).filter((name) => name.endsWith(".test.mjs")) : [];
const whole = (name) => join(here, name);
const alone = browser.filter((name) => ALONE.includes(name)).map(whole);
const beside = browser.filter((name) => !ALONE.includes(name)).map(whole);

/** Runs files; tells whether they passed, and what was said. A test that leaves a server or a browser behind must not keep the suite from ending. */
function run(...files) {
  const child = spawn("node", ["--test", "--test-force-exit", "--test-reporter=tap", ...files], { stdio: ["ignore", "pipe", "inherit"] });
  const said = [];
  child.stdout.on("data", (bytes) => said.push(bytes));
  return new Promise((done) => {
    child.once("close", (code) => done({ passed: code === 0, text: Buffer.concat(said).toString() }));
  });
}

const again = [];
async function work() {
  for (let file = beside.shift(); file; file = beside.shift()) {
    const { passed, text } = await run(file);
    console.log(text);
    if (!passed) again.push(file);
  }
}
const units = await run(...readdirSync(out).map((name) => join(out, name)));
console.log(units.text);
await Promise.all(Array.from({ length: AT_ONCE }, work));
// What fails beside another is run once more alone, and that counts: a busy machine plays badly.
let passed = units.passed;
for (const file of [...alone, ...again]) {
  if (again.includes(file)) console.log(`# once more, alone: ${file}`);
  const result = await run(file);
  console.log(result.text);
  passed &&= result.passed;
}
rmSync(out, { recursive: true });
process.exit(passed ? 0 : 1);
