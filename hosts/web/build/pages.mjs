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

/** Writes the pages with their styles and scripts inside; the module begins to come before the script that asks for it. */
export async function buildPages(here, dist, version) {
  const icon = readFileSync(join(here, "src/pages/icon.svg"), "utf8").replaceAll("\n", "");
  for (const page of ["index", "dashboard", "live"]) {
    const html = readFileSync(join(here, `src/pages/${page}.html`), "utf8");
    const style = await bundle(join(here, `src/pages/${page}.css`), { loader: { ".css": "css" } });
    const script = await bundle(join(here, `src/pages/${page}.ts`), {});
    const filled = html
      .replace("WASM_VERSION", version)
      .replace("ICON", () => `data:image/svg+xml,${encodeURIComponent(icon)}`)
      .replace("/* STYLE */", () => style.trim())
      .replace("/* SCRIPT */", () => script.trim());
    writeFileSync(join(dist, `${page}.html`), filled);
  }
}

async function bundle(entry, options) {
  const result = await build({ ...OPTIONS, ...options, entryPoints: [entry], write: false });
  return result.outputFiles[0].text;
}
