// Writes `types/`, the declarations of the npm package; `npm pack` calls it.
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = join(dirname(fileURLToPath(import.meta.url)), "..");
const types = join(here, "types");

rmSync(types, { recursive: true, force: true });
const tsc = join(here, "node_modules/typescript/bin/tsc");
const flags = ["--noEmit", "false", "--declaration", "--emitDeclarationOnly", "--outDir", types, "--rootDir", join(here, "src")];
execFileSync("node", [tsc, "-p", here, ...flags], { stdio: "inherit" });
for (const name of readdirSync(types)) {
  // The pages are no part of the package.
  if (!name.endsWith(".d.ts")) rmSync(join(types, name), { recursive: true });
  else writeFileSync(join(types, name), readFileSync(join(types, name), "utf8").replaceAll(/(from |import\()"(\.\/[\w-]+)\.ts"/g, '$1"$2.js"'));
}
