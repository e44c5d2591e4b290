// Bundles the TypeScript and puts the pages together.
import { build } from "esbuild";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const OPTIONS = {
  bundle: true,
  minify: true,
  format: "esm",
  target: "es2022",
  charset: "utf8",
  legalComments: "none",
  logLevel: "warning",
  loader: { ".css": "text" },
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

/** Writes the pages with their styles and scripts inside. */
export async function buildPages(here, dist) {
  const icon = readFileSync(join(here, "src/pages/icon.svg"), "utf8").replaceAll("\n", "");
  for (const page of ["index", "dashboard", "live", "recording"]) {
    const html = readFileSync(join(here, `src/pages/${page}.html`), "utf8");
    const style = await bundle(join(here, `src/pages/${page}.css`), { loader: { ".css": "css" } });
    const script = await bundle(join(here, `src/pages/${page}.ts`), {});
    const filled = html
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
