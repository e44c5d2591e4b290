// What the browser tests of single parts need, in one script for a test page.

import { Appender, isSupported } from "../src/appender.ts";
import { pageClock } from "../src/clock.ts";
import { Core } from "../src/core.ts";
import type { LinkEvents } from "../src/link.ts";
import { Links } from "../src/links.ts";
import { Peers } from "../src/peers.ts";
import { Player } from "../src/player.ts";
import type { Bytes, Side } from "../src/records.ts";

/** One end of a link whose signals go straight to the other end. */
interface End {
  link: { signal(message: Bytes): void; send(lane: number, frame: Bytes): void; settle(): void; close(): void };
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
  const signal = (message: Bytes): void => other().link.signal(message);
  const peers: Peers = new Peers({
    peerChannels: (...news) => links.peerChannels(...news),
    peerDescribed: (...news) => links.peerDescribed(...news),
    peerCandidate: (...news) => links.peerCandidate(...news),
    peerFailed: (...news) => links.peerFailed(...news),
  });
  const links = new Links({ clock: pageClock(), signals: core, peers, events });
  links.open(1, side, {});
  const link: End["link"] = {
    signal: (message) => links.signal(1, message),
    send: (lane, frame) => links.send(1, lane, frame),
    settle: () => links.settle(),
    close: () => links.close(1),
  };
  return Object.assign(made, { link });
}

/** Two linked ends. */
function pair(): { offering: End; answering: End } {
  const both = {} as { offering: End; answering: End };
  both.answering = end("answer", () => both.offering);
  both.offering = end("offer", () => both.answering);
  return both;
}

/** A player without a node: what is called is what a node would order. */
function player() {
  const log: string[] = [];
  const note = (name: string) => (detail?: unknown): void => void log.push(detail === undefined ? name : `${name} ${detail}`);
  const video = document.querySelector("video");
  if (!video) throw new Error("no video in the page");
  const player = new Player(video, {
    changed: () => undefined,
    playing: note("playing"),
    shown: () => undefined,
    muted: note("muted"),
    blocked: note("blocked"),
    broken: (reason) => appender.restart(reason),
  });
  const appender = new Appender(() => video.currentTime, {
    attach: (source) => player.attach(source),
    appended: () => undefined,
    unsupported: note("unsupported"),
    restarted: () => undefined,
    failed: note("failed"),
  });
  return { player, appender, log };
}

Object.assign(globalThis, { parts: { pair, player, isSupported, clock: pageClock() } });
