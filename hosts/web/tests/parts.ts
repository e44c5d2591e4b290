// What the browser tests of single parts need, in one script for a test page.

import { pageClock } from "../src/clock.ts";
import { Core } from "../src/core.ts";
import { Link, type LinkEvents } from "../src/link.ts";
import { isSupported, Player } from "../src/player.ts";
import type { Side } from "../src/records.ts";

/** One end of a link whose signals go straight to the other end. */
interface End {
  link: Link;
  frames: [lane: number, text: string][];
  log: string[];
  credits: number[];
}

const core = await Core.load(await WebAssembly.compileStreaming(fetch("./peerstream.wasm")));
const text = new TextDecoder();

function end(side: Side, other: () => End): End {
  const made: Omit<End, "link"> = { frames: [], log: [], credits: [] };
  const events: LinkEvents = {
    linkUp: (_, credit) => (made.log.push("up"), made.credits.push(credit)),
    linkDown: () => made.log.push("down"),
    linkFailed: () => made.log.push("failed"),
    // As over the network: later, and as bytes of their own.
    linkSignal: (_, message) => setTimeout(signal, 1, message.slice()),
    frame: (_, lane, frame) => made.frames.push([lane, frame.length < 100 ? text.decode(frame) : `${frame.length}`]),
    writable: (_, credit) => made.credits.push(credit),
  };
  const signal = (message: Uint8Array<ArrayBuffer>): void => other().link.signal(message);
  const link = new Link(1, side, {}, { clock: pageClock(), signals: core, events });
  return Object.assign(made, { link });
}

/** Two linked ends. */
function pair(): { offering: End; answering: End } {
  const both = {} as { offering: End; answering: End };
  both.answering = end("answer", () => both.offering);
  both.offering = end("offer", () => both.answering);
  return both;
}

/** A player without a node: `orders` are what a node would order. */
function player(): { player: Player; log: string[] } {
  const log: string[] = [];
  const note = (name: string) => (detail?: unknown): void => void log.push(detail === undefined ? name : `${name} ${detail}`);
  const events = {
    changed: () => undefined,
    playing: note("playing"),
    unsupported: note("unsupported"),
    muted: note("muted"),
    blocked: note("blocked"),
    restarted: () => undefined,
    failed: note("failed"),
  };
  const video = document.querySelector("video");
  if (!video) throw new Error("no video in the page");
  return { player: new Player(video, events), log };
}

Object.assign(globalThis, { parts: { pair, player, isSupported, clock: pageClock() } });
