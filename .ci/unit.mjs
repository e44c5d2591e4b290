// Runs what `cargo test --workspace` runs, two programs at a time: most tests wait most of the time. A program that fails beside another
// is run once more alone, and that counts: some tell how well a stream plays, which a machine that has too much to do decides otherwise.
import { spawn, spawnSync } from "node:child_process";
import { dirname } from "node:path";

const AT_ONCE = 2;
/** They take longest, so they begin. */
const FIRST = ["plugins", "archive", "ffmpeg", "icecast", "promises", "comparison"];
/** A program that takes longer hangs, in milliseconds. */
const MS_MAX = 300_000;
const cargo = process.env.CARGO ?? "cargo";

function programs() {
  const built = spawnSync(cargo, ["test", "--workspace", "--locked", "--no-run", "--message-format=json-render-diagnostics"], {
    stdio: ["ignore", "pipe", "inherit"],
    maxBuffer: 1 << 28,
  });
  if (built.status !== 0) process.exit(built.status ?? 1);
  const told = built.stdout.toString().split("\n").filter((line) => line.startsWith("{")).map((line) => JSON.parse(line));
  const tests = told.filter(({ reason, profile, executable }) => reason === "compiler-artifact" && profile.test && executable);
  const found = tests.map(({ executable, manifest_path, target }) => ({ executable, folder: dirname(manifest_path), name: target.name }));
  const rank = ({ name }) => (FIRST.includes(name) ? FIRST.indexOf(name) : FIRST.length);
  return found.sort((a, b) => rank(a) - rank(b));
}

function run({ executable, folder, name }) {
  const began = Date.now();
  const child = spawn(executable, { cwd: folder, env: { ...process.env, CARGO_MANIFEST_DIR: folder }, stdio: ["ignore", "pipe", "pipe"] });
  const overdue = setTimeout(() => child.kill("SIGKILL"), MS_MAX);
  const said = [];
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (bytes) => said.push(bytes));
  return new Promise((done) => {
    child.once("close", (code) => {
      clearTimeout(overdue);
      done({ passed: code === 0, text: Buffer.concat(said).toString(), seconds: (Date.now() - began) / 1000, name, folder });
    });
  });
}

const counted = { programs: 0, tests: 0 };
function report({ passed, text, seconds, name, folder }) {
  const tests = [...text.matchAll(/^test result: \S+ (\d+) passed/gm)].reduce((sum, [, count]) => sum + Number(count), 0);
  counted.programs += 1;
  counted.tests += tests;
  console.log(`${passed ? "ok" : "FAILED"}  ${folder.split("/").slice(-2).join("/")} ${name}: ${tests} passed, ${seconds.toFixed(1)} s`);
  if (!passed) console.log(text);
}

const waiting = programs();
const again = [];
async function work() {
  for (let program = waiting.shift(); program; program = waiting.shift()) {
    const result = await run(program);
    if (result.passed) report(result);
    else again.push({ program, text: result.text });
  }
}
await Promise.all(Array.from({ length: AT_ONCE }, work));
let failed = 0;
for (const { program, text } of again) {
  const result = await run(program);
  if (result.passed) console.log(`beside another it failed:\n${text}`);
  else failed += 1;
  report(result);
}
console.log(`${counted.programs} programs, ${counted.tests} tests passed, ${failed} programs failed`);
const documented = spawnSync(cargo, ["test", "--workspace", "--locked", "--doc", "--quiet"], { stdio: "inherit" });
process.exit(failed || documented.status ? 1 : 0);
