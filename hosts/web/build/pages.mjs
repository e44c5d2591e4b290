// Bundles the TypeScript and puts the pages together.
import { build } from "esbuild";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** `worker:./file.ts` is the text of a script for a Worker, with all that it imports. */
export const workers = {
  name: "workers",
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^worker:/ }, ({ path, resolveDir }) => ({
      path: join(resolveDir, path.slice("worker:".length)),
      namespace: "worker",
    }));
    onLoad({ filter: /.*/, namespace: "worker" }, async ({ path }) => ({
      contents: await bundle(path, { format: "iife" }),
      loader: "text",
    }));
  },
};

const OPTIONS = {
  bundle: true,
  minify: true,
  format: "esm",
  target: "es2022",
  charset: "utf8",
  legalComments: "none",
  logLevel: "warning",
  loader: { ".css": "text" },
  plugins: [workers],
};

/** Bundles the player element. The module's address carries its hash, so that no cache mixes two builds. */
export async function buildScript(here, dist, version) {
  await build({
    ...OPTIONS,
    entryPoints: [join(here, "src/peerstream.ts")],
    outfile: join(dist, "peerstream.js"),
    define: { WASM_VERSION: JSON.stringify(version) },
  });
}

/** Pages with their style and script inside. */
const WHOLE = ["index", "dashboard", "live", "recording"];
/** Pages that show what strangers wrote: nothing is inline, so that their policy can forbid all that is. */
const STRICT = ["takedown", "takedown-confirm", "takedown-status", "takedown-counter", "takedown-queue"];

/** Writes the pages; in those that play, the module begins to come before the script that asks for it. */
export async function buildPages(here, dist, version) {
  const source = (name) => join(here, `src/pages/${name}`);
  const icon = readFileSync(source("icon.svg"), "utf8").replaceAll("\n", "");
  const withIcon = (page) => readFileSync(source(`${page}.html`), "utf8").replace("ICON", () => `data:image/svg+xml,${encodeURIComponent(icon)}`);
  for (const page of WHOLE) {
    const style = await bundle(source(`${page}.css`), { loader: { ".css": "css" } });
    const script = await bundle(source(`${page}.ts`), {});
    const filled = withIcon(page)
      .replace("WASM_VERSION", version)
      .replace("/* STYLE */", () => style.trim())
      .replace("/* SCRIPT */", () => script.trim());
    writeFileSync(join(dist, `${page}.html`), filled);
  }
  writeFileSync(join(dist, "takedown.css"), await bundle(source("takedown.css"), { loader: { ".css": "css" } }));
  for (const page of STRICT) {
    writeFileSync(join(dist, `${page}.js`), await bundle(source(`${page}.ts`), {}));
    writeFileSync(join(dist, `${page}.html`), withIcon(page));
  }
}

async function bundle(entry, options) {
  const result = await build({ ...OPTIONS, ...options, entryPoints: [entry], write: false });
  return result.outputFiles[0].text;
}
