// What `dist/` is made of, and the hashes of it. `wasm/tests/dist.rs` computes the same.
import { createHash } from "node:crypto";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";

/** Folders and files that are inputs whole. */
export const ROOTS = [
  "framework/protocol/Cargo.toml",
  "framework/protocol/src",
  "framework/node/Cargo.toml",
  "framework/node/src",
  "hosts/web/wasm/Cargo.toml",
  "hosts/web/wasm/src",
  "hosts/web/src",
  "hosts/web/build",
  "hosts/web/build.mjs",
  "hosts/web/tsconfig.json",
  "hosts/web/package.json",
  "hosts/web/package-lock.json",
];

/** SHA-256 in hexadecimal. */
export const sha256 = (bytes) => createHash("sha256").update(bytes).digest("hex");

function files(root, path) {
  if (statSync(join(root, path)).isFile()) return [path];
  return readdirSync(join(root, path)).flatMap((name) => files(root, `${path}/${name}`));
}

/** The hash of every input, by path; what the module takes from the workspace's manifest and lock is one entry. */
export function inputHashes(root) {
  const paths = ROOTS.flatMap((path) => files(root, path)).sort();
  const entries = paths.map((path) => [path, sha256(readFileSync(join(root, path)))]);
  const text = (path) => readFileSync(join(root, path), "utf8");
  const own = ROOTS.filter((path) => path.endsWith("/Cargo.toml")).flatMap((path) => dependencyNames(text(path)));
  entries.push(["dependencies", sha256(dependencies(own, text("Cargo.toml"), text("Cargo.lock")))]);
  return Object.fromEntries(entries);
}

/** What a crate itself names, without what only its tests need. */
function dependencyNames(manifest) {
  const table = manifest.split(/\n(?=\[)/).find((one) => one.startsWith("[dependencies]")) ?? "";
  return [...table.matchAll(/^([\w-]+)[. ]/gm)].map(([, name]) => name).filter((name) => !name.startsWith("peerstream-"));
}

/**
 * The locked packages the module is made of, and the lines of the workspace's manifest that name them or its profiles.
 * Packages of other crates and of tests come and go without making the module stale.
 */
function dependencies(own, manifest, lock) {
  const packages = lock.split("[[package]]\n").slice(1).map(lockedPackage);
  const reached = new Set();
  const queue = [...own];
  for (let wanted = queue.pop(); wanted; wanted = queue.pop()) {
    // A dependency is its name, and after a space the version where the name alone is not clear.
    const [name, version] = wanted.split(" ");
    for (const found of packages.filter((one) => one.name === name && (version ?? one.version) === one.version)) {
      if (!reached.has(found)) queue.push(...found.dependencies);
      reached.add(found);
    }
  }
  const locked = [...reached].map(({ name, version, checksum }) => `${name} ${version} ${checksum}`).sort();
  const names = new Set([...reached].map(({ name }) => name));
  const wanted = manifest.split("\n").filter((line) => names.has(/^([\w-]+) = /.exec(line)?.[1]));
  const profiles = manifest.split(/\n(?=\[)/).filter((table) => /^\[profile\.(wasm|release)\]/.test(table));
  return [...locked, ...wanted, ...profiles.map((table) => table.trim())].join("\n");
}

function lockedPackage(block) {
  const field = (key) => new RegExp(`^${key} = "(.*)"$`, "m").exec(block)?.[1] ?? "";
  const dependencies = [...block.matchAll(/^ "([^"]+)/gm)].map(([, dependency]) => dependency);
  return { name: field("name"), version: field("version"), checksum: field("checksum"), dependencies };
}
