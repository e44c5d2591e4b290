// The npm package: what is in it, and that a strict project can use it by its types.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const here = fileURLToPath(new URL("..", import.meta.url));
const USER = `import { type ElementStatus, PeerstreamPlayer } from "peerstream-web";

const player: PeerstreamPlayer = document.createElement("peerstream-player");
player.addEventListener("peerstream-title", ({ detail }) => console.log(detail.toUpperCase()));
player.iceServers = [{ urls: "turn:turn.example.org", username: "me", credential: "secret" }];
const status: ElementStatus = player.status();
export const lag: number = status.lag_ms;
`;

test("the package holds script, module and types, and a strict project compiles against it", (t) => {
  const folder = mkdtempSync(join(tmpdir(), "peerstream-package-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const packed = execFileSync("npm", ["pack", "--json", "--pack-destination", folder], { cwd: here, encoding: "utf8" });
  const [{ filename, files }] = JSON.parse(packed.slice(packed.indexOf("[\n")));
  const paths = files.map(({ path }) => path);
  for (const path of ["dist/peerstream.js", "dist/peerstream.wasm", "types/peerstream.d.ts", "package.json", "README.md"]) {
    assert.ok(paths.includes(path), `${path} in ${paths}`);
  }
  assert.ok(!paths.some((path) => /^(src|tests|wasm)\//.test(path)), paths.join());
  const modules = join(folder, "node_modules/peerstream-web");
  mkdirSync(modules, { recursive: true });
  execFileSync("tar", ["xzf", join(folder, filename), "-C", modules, "--strip-components=1"]);
  assert.ok(readFileSync(join(modules, "dist/peerstream.js"), "utf8").includes("peerstream-player"));
  writeFileSync(join(folder, "user.ts"), USER);
  const tsc = join(here, "node_modules/typescript/bin/tsc");
  const flags = ["--noEmit", "--strict", "--exactOptionalPropertyTypes", "--target", "es2022", "--module", "es2022"];
  execFileSync("node", [tsc, ...flags, "--moduleResolution", "bundler", "--lib", "es2023,dom,dom.iterable", "--types", "", "user.ts"], {
    cwd: folder,
    stdio: "inherit",
  });
});
