// One WebRTC connection to another node, with its two channels.

import type { Cancel, Clock } from "./clock.ts";
import type { Expanded } from "./core.ts";
import { Credit, LOW_BYTES } from "./credit.ts";
import type { Bytes, Side } from "./records.ts";

/** A link that is not open after this long has failed, in milliseconds. */
export const OPEN_MS_MAX = 10_000;
/** Frames that come in before both channels are open wait, at most so many. */
const EARLY_FRAMES_MAX = 64;
/** Candidates of the other side that come before its description wait, at most so many. */
const EARLY_CANDIDATES_MAX = 32;
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

/** What every link of a page shares. */
export interface Surroundings {
  clock: Clock;
  signals: Signals;
  events: LinkEvents;
}

/** A link from the first description to its end. */
export class Link {
  readonly #id: number;
  readonly #with: Surroundings;
  readonly #peer: RTCPeerConnection;
  readonly #channels: readonly RTCDataChannel[];
  readonly #credit: Credit;
  readonly #deadline: Cancel;
  #state: "opening" | "open" | "ended" = "opening";
  #described = false;
  #ownCandidates: (string | null)[] = [];
  #theirCandidates: string[] = [];
  #earlyFrames: [lane: number, frame: Uint8Array][] = [];

  /** Starts a link; throws when the browser makes no more connections. */
  constructor(id: number, side: Side, ice: RTCConfiguration, surroundings: Surroundings) {
    this.#id = id;
    this.#with = surroundings;
    this.#peer = new RTCPeerConnection(ice);
    this.#channels = [this.#channel("control", 0, true), this.#channel("pieces", 1, false)];
    this.#credit = new Credit(this.#channels);
    this.#deadline = surroundings.clock.after(OPEN_MS_MAX, () => this.#end());
    this.#peer.onicecandidate = (event) => this.#tellCandidate(event.candidate?.candidate ?? null);
    this.#peer.onconnectionstatechange = () => {
      if (["failed", "closed"].includes(this.#peer.connectionState)) this.#end();
    };
    if (side === "offer") this.#attempt(this.#describe("offer"));
  }

  /** A set-up message of the other side; malformed ones are dropped. */
  signal(message: Bytes): void {
    const signal = this.#with.signals.expandSignal(message);
    if (!signal || this.#state === "ended") return;
    if (signal.kind === "candidate") this.#takeCandidate(signal.text);
    else if (signal.kind !== "end") this.#attempt(this.#takeDescription(signal.kind, signal.text));
  }

  /** Sends a frame; one that cannot be sent ends the link, since the other side would miss it. */
  send(lane: number, frame: Bytes): void {
    if (this.#state !== "open") return;
    try {
      this.#channels[lane]?.send(frame);
      this.#credit.spent(frame.length);
    } catch {
      this.#end();
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
    this.#peer.onicecandidate = this.#peer.onconnectionstatechange = null;
    this.#peer.close();
  }

  #channel(label: string, id: number, ordered: boolean): RTCDataChannel {
    const channel = this.#peer.createDataChannel(label, { negotiated: true, id, ordered });
    channel.binaryType = "arraybuffer";
    channel.bufferedAmountLowThreshold = LOW_BYTES;
    channel.onopen = () => this.#opened();
    channel.onclose = () => this.#end();
    channel.onbufferedamountlow = () => this.#tellCredit();
    channel.onmessage = (event: MessageEvent<unknown>) => this.#received(id, event.data);
    return channel;
  }

  async #describe(side: Side): Promise<void> {
    await this.#peer.setLocalDescription();
    const sdp = this.#peer.localDescription?.sdp;
    if (this.#state !== "opening" || !sdp) return;
    this.#with.events.linkSignal(this.#id, this.#with.signals.signalOfSdp(side, sdp));
    this.#described = true;
    for (const line of this.#ownCandidates.splice(0)) this.#tellCandidate(line);
  }

  async #takeDescription(type: Side, sdp: string): Promise<void> {
    await this.#peer.setRemoteDescription({ type, sdp });
    for (const line of this.#theirCandidates.splice(0)) this.#takeCandidate(line);
    if (type === "offer") await this.#describe("answer");
  }

  #tellCandidate(line: string | null): void {
    if (!this.#described) return void this.#ownCandidates.push(line);
    const signal = this.#with.signals.signalOfCandidate(line ?? "");
    if (signal && this.#state === "opening") this.#with.events.linkSignal(this.#id, signal);
  }

  #takeCandidate(candidate: string): void {
    if (!this.#peer.remoteDescription) {
      if (this.#theirCandidates.length < EARLY_CANDIDATES_MAX) this.#theirCandidates.push(candidate);
      return;
    }
    // One that is of no use is no reason to give up the others.
    this.#peer.addIceCandidate({ candidate, sdpMid: "0", sdpMLineIndex: 0 }).catch(() => undefined);
  }

  #attempt(step: Promise<void>): void {
    step.catch(() => this.#end());
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
    else if (this.#earlyFrames.length < EARLY_FRAMES_MAX) this.#earlyFrames.push([lane, frame]);
  }

  #tellCredit(): void {
    if (this.#state === "open") this.#with.events.writable(this.#id, this.#credit.tell());
  }

  #end(): void {
    const before = this.#state;
    if (before === "ended") return;
    this.close();
    if (before === "open") this.#with.events.linkDown(this.#id);
    else this.#with.events.linkFailed(this.#id);
  }
}
