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
  entries.push(["dependencies", sha256(dependencies(text("Cargo.toml"), text("Cargo.lock")))]);
  return Object.fromEntries(entries);
}

/**
 * The locked packages the module is made of, and the lines of the workspace's manifest that name them or its profiles.
 * Packages of other crates come and go without making the module stale.
 */
export function dependencies(manifest, lock) {
  const packages = new Map();
  for (const block of lock.split("[[package]]\n").slice(1)) {
    const name = /^name = "(.*)"$/m.exec(block)[1];
    packages.set(name, [...(packages.get(name) ?? []), block.trim()]);
  }
  const reached = new Set();
  const queue = ["peerstream-web"];
  for (let name = queue.pop(); name; name = queue.pop()) {
    if (reached.has(name)) continue;
    reached.add(name);
    for (const block of packages.get(name) ?? []) {
      for (const [, dependency] of block.matchAll(/^ "([^" ]+)/gm)) queue.push(dependency);
    }
  }
  const names = [...reached].sort();
  const locked = names.flatMap((name) => packages.get(name) ?? []);
  const wanted = manifest.split("\n").filter((line) => reached.has(/^([\w-]+) = /.exec(line)?.[1]));
  const profiles = manifest.split(/\n(?=\[)/).filter((table) => /^\[profile\.(wasm|release)\]/.test(table));
  return [...locked, ...wanted, ...profiles.map((table) => table.trim())].join("\n");
}
