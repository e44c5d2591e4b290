// Builds `dist/`: the module, the script, the two pages, and a manifest of what they were made of.
//
//   node build.mjs             everything
//   node build.mjs --no-wasm   keeps the module that is there; for work on the TypeScript
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

import { inputHashes, sha256 } from "./build/inputs.mjs";
import { buildPages, buildScript } from "./build/pages.mjs";
import { buildWasm } from "./build/wasm.mjs";

const here = dirname(fileURLToPath(import.meta.url));
const root = resolve(here, "../..");
const dist = join(here, "dist");
const manifestPath = join(dist, "manifest.json");

const before = inputHashes(root);
mkdirSync(dist, { recursive: true });
execFileSync("node", [join(here, "node_modules/typescript/bin/tsc"), "-p", here], { stdio: "inherit" });
const compiler = process.argv.includes("--no-wasm") ? kept() : buildWasm(root, join(dist, "peerstream.wasm"));
const version = sha256(readFileSync(join(dist, "peerstream.wasm"))).slice(0, 12);
await buildScript(here, dist, version);
await buildPages(here, dist, version);
if (JSON.stringify(inputHashes(root)) !== JSON.stringify(before)) {
  throw new Error("a source changed during the build: build again");
}
writeFileSync(manifestPath, `${JSON.stringify({ compiler, inputs: before, outputs: outputs() }, null, 2)}\n`);

function kept() {
  if (!existsSync(manifestPath)) throw new Error("no earlier build: run without --no-wasm");
  const earlier = JSON.parse(readFileSync(manifestPath, "utf8"));
  const rust = (inputs) => JSON.stringify(Object.entries(inputs).filter(([path]) => /\.rs$|\.toml$|^dep/.test(path)));
  if (rust(earlier.inputs) !== rust(before)) throw new Error("the Rust sources changed: run without --no-wasm");
  return earlier.compiler;
}

function outputs() {
  const hashes = {};
  for (const name of readdirSync(dist).sort()) {
    if (name === "manifest.json") continue;
    const bytes = readFileSync(join(dist, name));
    hashes[name] = sha256(bytes);
    console.log(`${name.padEnd(18)} ${bytes.length} bytes, ${gzipSync(bytes, { level: 9 }).length} gzipped`);
  }
  return hashes;
}
