// Finds, compiles and shares the node's module.

import { Core } from "./core.ts";

/** Set by the build: part of the module's hash, so that no cache mixes two builds. */
declare const WASM_VERSION: string;

let compiled: Promise<WebAssembly.Module> | undefined;
let shared: Promise<Core> | undefined;

/** The instance of the module for nodes on the page's thread; a stopped one is replaced by a fresh one. */
export async function loadCore(): Promise<Core> {
  const present = await shared?.catch(() => undefined);
  if (present && !present.stopped) return present;
  shared = compile().then((module) => Core.load(module));
  return shared;
}

/** The module, compiled once for the page; what has failed is tried again. */
export async function compile(): Promise<WebAssembly.Module> {
  compiled ??= fetchModule();
  try {
    return await compiled;
  } catch (error) {
    compiled = undefined;
    throw error;
  }
}

async function fetchModule(): Promise<WebAssembly.Module> {
  const response = await fetch(new URL(`peerstream.wasm?v=${WASM_VERSION}`, import.meta.url));
  if (!response.ok) throw new Error(`peerstream.wasm: ${response.status}`);
  // Some static hosts serve it with another type, which streaming compilation refuses.
  const streams = response.headers.get("content-type")?.startsWith("application/wasm") === true;
  return streams ? WebAssembly.compileStreaming(response) : WebAssembly.compile(await response.arrayBuffer());
}
