// The engine's half of a link to another node: its two channels, over a WebRTC connection that the page holds.

import type { Cancel, Clock } from "./clock.ts";
import type { Expanded } from "./core.ts";
import { Credit, LOW_BYTES } from "./credit.ts";
import type { PeerCalls } from "./peers.ts";
import type { Bytes, Side } from "./records.ts";

/** A link that is not open after this long has failed, in milliseconds. */
export const OPEN_MS_MAX = 10_000;
/** Frames that come in before both channels are open wait, at most so many. */
const EARLY_FRAMES_MAX = 64;
/** Larger messages are not read, in bytes. */
const MESSAGE_BYTES_MAX = 64 * 1024;

/** Turns descriptions and candidates into the bytes that travel, and back. */
export interface Signals {
  signalOfSdp(side: Side, sdp: string): Bytes;
  signalOfCandidate(line: string): Bytes | null;
  expandSignal(signal: Uint8Array): Expanded | null;
}

/** What links tell their owner; after `linkDown` or `linkFailed` nothing follows. */
export interface LinkEvents {
  linkUp(link: number, credit: number): void;
  linkDown(link: number): void;
  linkFailed(link: number): void;
  linkSignal(link: number, message: Uint8Array): void;
  frame(link: number, lane: number, frame: Uint8Array): void;
  writable(link: number, credit: number): void;
}

/** What every link of a node shares. */
export interface Surroundings {
  clock: Clock;
  signals: Signals;
  peers: PeerCalls;
  events: LinkEvents;
}

/** A link from the first description to its end. */
export class Link {
  readonly #id: number;
  readonly #with: Surroundings;
  readonly #deadline: Cancel;
  #channels: readonly RTCDataChannel[] = [];
  #credit = new Credit([]);
  #state: "opening" | "open" | "ended" = "opening";
  #earlyFrames: [lane: number, frame: Uint8Array][] = [];

  /** Starts a link; the connection's channels follow. */
  constructor(id: number, surroundings: Surroundings) {
    this.#id = id;
    this.#with = surroundings;
    this.#deadline = surroundings.clock.after(OPEN_MS_MAX, () => this.end());
  }

  /** The channels of its connection, in the order of the lanes. */
  join(channels: readonly RTCDataChannel[]): void {
    if (this.#state === "ended") return channels.forEach((channel) => channel.close());
    this.#channels = channels;
    this.#credit = new Credit(channels);
    channels.forEach((channel, lane) => this.#listen(channel, lane));
    this.#opened();
  }

  /** A set-up message of the other side; malformed ones are dropped. */
  signal(message: Bytes): void {
    const said = this.#with.signals.expandSignal(message);
    if (said && this.#state !== "ended") this.#with.peers.tellPeer(this.#id, said);
  }

  /** What the other side is to know of this one. */
  described(side: Side, sdp: string): void {
    if (this.#state === "opening") this.#with.events.linkSignal(this.#id, this.#with.signals.signalOfSdp(side, sdp));
  }

  /** A candidate for the other side. */
  candidate(line: string): void {
    const signal = this.#state === "opening" ? this.#with.signals.signalOfCandidate(line) : null;
    if (signal) this.#with.events.linkSignal(this.#id, signal);
  }

  /** Sends a frame; one that cannot be sent ends the link, since the other side would miss it. */
  send(lane: number, frame: Bytes): void {
    if (this.#state !== "open") return;
    try {
      this.#channels[lane]?.send(frame);
      this.#credit.spent(frame.length);
    } catch {
      this.end();
    }
  }

  /** After a round of sending: tells the node its credit when no channel is going to. */
  settle(): void {
    if (this.#state === "open" && this.#credit.isDue()) this.#tellCredit();
  }

  /** Ends the link; nothing more is told of it. */
  close(): void {
    if (this.#state === "ended") return;
    this.#state = "ended";
    this.#deadline();
    for (const channel of this.#channels) channel.close();
    this.#with.peers.closePeer(this.#id);
  }

  /** The link has come to its end, which the node is told. */
  end(): void {
    const before = this.#state;
    if (before === "ended") return;
    this.close();
    if (before === "open") this.#with.events.linkDown(this.#id);
    else this.#with.events.linkFailed(this.#id);
  }

  #listen(channel: RTCDataChannel, lane: number): void {
    channel.binaryType = "arraybuffer";
    channel.bufferedAmountLowThreshold = LOW_BYTES;
    channel.onopen = () => this.#opened();
    channel.onclose = () => this.end();
    channel.onbufferedamountlow = () => this.#tellCredit();
    channel.onmessage = (event: MessageEvent<unknown>) => this.#received(lane, event.data);
  }

  #opened(): void {
    if (this.#state !== "opening" || this.#channels.some((channel) => channel.readyState !== "open")) return;
    this.#state = "open";
    this.#deadline();
    this.#with.events.linkUp(this.#id, this.#credit.tell());
    for (const [lane, frame] of this.#earlyFrames.splice(0)) this.#with.events.frame(this.#id, lane, frame);
  }

  #received(lane: number, data: unknown): void {
    if (!(data instanceof ArrayBuffer) || data.byteLength > MESSAGE_BYTES_MAX) return;
    const frame = new Uint8Array(data);
    if (this.#state === "open") this.#with.events.frame(this.#id, lane, frame);
    else if (this.#state === "opening" && this.#earlyFrames.length < EARLY_FRAMES_MAX) this.#earlyFrames.push([lane, frame]);
  }

  #tellCredit(): void {
    if (this.#state === "open") this.#with.events.writable(this.#id, this.#credit.tell());
  }
}
