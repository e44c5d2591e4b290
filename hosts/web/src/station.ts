// An engine with the media source that it fills: all of a player that can run beside the page's thread. The page and the station know
// each other by two sets of calls, so that it makes no difference whether a thread lies between them.

import { Admission } from "./admission.ts";
import { Appender } from "./appender.ts";
import type { Cancel, Clock } from "./clock.ts";
import { earlyConnection } from "./control.ts";
import type { Core } from "./core.ts";
import { Engine, type EngineEvents, type EngineOptions, type Playout } from "./engine.ts";
import type { Keeping } from "./past.ts";
import type { PeerCalls, PeerEvents } from "./peers.ts";
import type { Head } from "./player.ts";
import { type PlayerReport, rangeAt } from "./ranges.ts";
import type { Carries, Side } from "./records.ts";
import type { NodeStatus } from "./status.ts";
import { type Steps, Track } from "./steps.ts";

/** The page hears how the station stands this often, in milliseconds. */
const SNAPSHOT_MS = 250;
/** What the page last said of its play head counts for this long, in milliseconds; a page that is busy says nothing. */
const HEAD_MS_MAX = 500;
/** Segments of data that a busy page has not taken yet, in bytes; more are dropped. */
const UNTAKEN_BYTES_MAX = 32 * 1024 * 1024;

/** What is known of a station before any host has been heard. */
export interface StationPlan {
  /** Base addresses of hosts, tried in order. */
  endpoints: readonly string[];
  /** From whoever embeds the page, for hosts that let in only who was invited. */
  token: string | null;
}

/** What a station is from its beginning. */
export interface StationOptions extends StationPlan, Omit<EngineOptions, "admission"> {
  /** What a host has said about tickets. */
  expected: { endpoint: string; required: boolean } | null;
}

/** What the page tells a station. */
export interface StationCalls extends PeerEvents {
  /** Starts what takes its time and hangs on nothing that hosts say; once, before [begin]. */
  prepare(plan: StationPlan): void;
  /** Starts the node; once. */
  begin(options: StationOptions): void;
  setRelay(on: boolean): void;
  setPlayout(playout: Playout): void;
  returnToEdge(): void;
  /** What the node does about the past from now on. */
  setKeeping(keeping: Keeping): void;
  /** The viewer wants to see what was so many seconds ago. */
  goBack(seconds: number): void;
  /** An evidence bundle of what the node holds between two times on the media's timeline, in seconds; empty when that is nothing. */
  evidence(from: number, to: number): Promise<Uint8Array<ArrayBuffer>>;
  woke(): void;
  /** Where the play head is; nothing while there is no source. */
  head(head: Head | null): void;
  /** The media element has refused what it was given. */
  broken(reason: string): void;
  /** Whether a host wants to see a ticket. */
  expect(endpoint: string, required: boolean): void;
  /** The last snapshot has been read. */
  seen(): void;
  /** A segment of data of so many bytes has been taken. */
  taken(bytes: number): void;
  close(): void;
}

/** What a station tells the page, or has it do. */
export interface PageCalls extends PeerCalls {
  begin(carries: Carries): void;
  /** The type of what follows, and what is being played. */
  init(mime: string, title: string): void;
  /** What follows is of another time, and comes from another source. */
  turn(): void;
  /** The media element is to play from this. */
  attach(source: MediaSource | MediaSourceHandle): void;
  rate(rate: number): void;
  seek(seconds: number): void;
  /** A segment of a stream that is not media. */
  segment(seq: number, bytes: Uint8Array): void;
  ended(): void;
  unsupported(mime: string): void;
  /** The browser has stumbled over what it was given; it is given a new source. */
  restarted(reason: string): void;
  failed(reason: string): void;
  refused(reason: string): void;
  denied(reason: string): void;
  wrongPublisher(key: string): void;
  stopped(reason: string): void;
  snapshot(snapshot: Snapshot): void;
}

/** How a station stands. */
export interface Snapshot {
  /** The node's view of itself; nothing while there is none. */
  node: NodeStatus | null;
  /** Times the module had to be replaced. */
  engine_restarts: number;
  /** The type that is being played. */
  mime: string | null;
  /** Segments that were appended. */
  appended: number;
  /** Times the media source had to be replaced. */
  restarts: number;
  /** Segments of data that were dropped, as the page did not take them. */
  untaken: number;
  /** When the station did its steps. */
  steps: Steps;
}

/** What a station stands on. */
export interface StationGround {
  clock: Clock;
  load(): Promise<Core>;
}

/** The station of one player. */
export class Station implements StationCalls {
  readonly #page: PageCalls;
  readonly #ground: StationGround;
  readonly #appender: Appender;
  #admission: Admission | null = null;
  #early: WebSocket | null = null;
  #engine: Engine | null = null;
  #beat: Cancel = () => undefined;
  #head: (Head & { at: number }) | null = null;
  #carries: Carries = "media";
  readonly #track = new Track();
  #unread = false;
  #untakenBytes = 0;
  #untaken = 0;

  constructor(page: PageCalls, ground: StationGround) {
    this.#page = page;
    this.#ground = ground;
    this.#track.note("thread");
    this.#appender = new Appender(() => this.#position(), {
      attach: (source) => page.attach(source),
      appended: () => this.#appended(),
      unsupported: (mime) => page.unsupported(mime),
      restarted: (reason) => page.restarted(reason),
      failed: (reason) => page.failed(reason),
    });
  }

  prepare({ endpoints, token }: StationPlan): void {
    const admission = (this.#admission ??= new Admission(token));
    // Who brings a token is let in with a ticket, most others without: should this host not, that connection is refused, and a ticket is asked for.
    if (token === null) this.#early = earlyConnection(endpoints, admission);
    this.#appender.prepare();
  }

  begin(options: StationOptions): void {
    if (this.#engine) return;
    const { token, expected, ...engine } = options;
    const admission = (this.#admission ??= new Admission(token));
    if (expected) admission.expect(expected.endpoint, expected.required);
    const early = this.#takeEarly(admission, engine.endpoints[0]);
    this.#engine = new Engine({ ...engine, admission }, early, { ...this.#ground, peers: this.#page }, this.#engineEvents());
    this.#beat = this.#ground.clock.every(SNAPSHOT_MS, () => !this.#unread && this.#show());
    void this.#engine.start();
  }

  setRelay(on: boolean): void {
    this.#engine?.setRelay(on);
  }

  setPlayout(playout: Playout): void {
    this.#engine?.setPlayout(playout);
  }

  returnToEdge(): void {
    this.#engine?.returnToEdge();
  }

  setKeeping(keeping: Keeping): void {
    this.#engine?.setKeeping(keeping);
  }

  goBack(seconds: number): void {
    this.#engine?.goBack(seconds);
  }

  async evidence(from: number, to: number): Promise<Uint8Array<ArrayBuffer>> {
    return this.#engine?.evidence(from, to) ?? new Uint8Array();
  }

  woke(): void {
    this.#engine?.woke();
  }

  head(head: Head | null): void {
    this.#head = head && { ...head, at: performance.now() };
    this.#engine?.reportPlayer();
  }

  broken(reason: string): void {
    this.#appender.restart(reason);
  }

  expect(endpoint: string, required: boolean): void {
    this.#admission?.expect(endpoint, required);
  }

  seen(): void {
    this.#unread = false;
  }

  taken(bytes: number): void {
    this.#untakenBytes -= bytes;
  }

  close(): void {
    this.#beat();
    this.#early?.close();
    this.#admission?.close();
    this.#engine?.close();
    this.#appender.close();
  }

  peerChannels(link: number, control: RTCDataChannel, pieces: RTCDataChannel): void {
    const links = this.#engine?.links;
    if (links) links.peerChannels(link, control, pieces);
    else for (const channel of [control, pieces]) channel.close();
  }

  peerDescribed(link: number, side: Side, sdp: string): void {
    this.#engine?.links?.peerDescribed(link, side, sdp);
  }

  peerCandidate(link: number, line: string): void {
    this.#engine?.links?.peerCandidate(link, line);
  }

  peerFailed(link: number): void {
    this.#engine?.links?.peerFailed(link);
  }

  #engineEvents(): EngineEvents {
    const [page, appender] = [this.#page, this.#appender];
    return {
      begin: (carries) => {
        this.#track.note("welcome");
        this.#carries = carries;
        this.#head = null;
        appender.begin();
        // Whose broadcast it is is known before any of it is shown.
        this.#show();
        page.begin(carries);
      },
      init: (mime, title, header) => {
        page.init(mime, title);
        appender.init(mime, header);
      },
      deliver: (seq, segment) => {
        this.#track.note("segment");
        if (this.#carries === "data") this.#hand(seq, segment);
        else appender.deliver(segment);
      },
      turn: () => {
        this.#head = null;
        appender.turn();
        page.turn();
      },
      rate: (rate) => page.rate(rate),
      seek: (seconds) => page.seek(seconds),
      ended: () => {
        appender.end();
        page.ended();
      },
      // A refusal stands until the control connection is up again, so the page must not take it for up still.
      refused: (reason) => {
        this.#show();
        page.refused(reason);
      },
      denied: (reason) => {
        this.#show();
        page.denied(reason);
      },
      wrongPublisher: (key) => {
        this.#show();
        page.wrongPublisher(key);
      },
      stopped: (reason) => page.stopped(reason),
      player: () => this.#report(),
      step: (step) => this.#track.note(step),
    };
  }

  /** The connection that was opened early, unless it turns out that its host wants to see a ticket. */
  #takeEarly(admission: Admission, endpoint: string | undefined): WebSocket | null {
    const early = this.#early;
    this.#early = null;
    if (endpoint !== undefined && admission.isOpen(endpoint)) return early;
    early?.close();
    return null;
  }

  #appended(): void {
    if (this.#appender.buffered?.length) this.#track.note("appended");
    this.#engine?.reportPlayer();
  }

  #hand(seq: number, segment: Uint8Array): void {
    if (this.#untakenBytes + segment.length > UNTAKEN_BYTES_MAX) {
      this.#untaken += 1;
      return;
    }
    this.#untakenBytes += segment.length;
    this.#page.segment(seq, segment);
  }

  /**
   * How the player stands, as far as can be known here. While the page is busy nothing is said: its orders would be carried out late, for a
   * play head that has moved on.
   */
  #report(): PlayerReport | null {
    const buffered = this.#appender.buffered;
    if (!buffered) return null;
    if (this.#head && performance.now() - this.#head.at > HEAD_MS_MAX) return null;
    const { paused, ready } = this.#head ?? { paused: false, ready: false };
    const position = this.#position();
    return { position, ...rangeAt(buffered, position), paused, ready };
  }

  /** Where the play head should be by now, within the range it was in. */
  #position(): number {
    const head = this.#head;
    if (!head) return 0;
    const { buffered } = this.#appender;
    const end = buffered && buffered.length > 0 ? rangeAt(buffered, head.position).end : head.position;
    return Math.max(head.position, Math.min(end, head.position + ((performance.now() - head.at) / 1000) * head.rate));
  }

  /** Tells the page how things stand. At the beat a busy page has one such message waiting, not all that it missed. */
  #show(): void {
    if (!this.#engine) return;
    this.#unread = true;
    const { appended, restarts } = this.#appender.counters;
    const [node, mime] = [this.#engine.status() as NodeStatus | null, this.#appender.mime];
    const snapshot = { node, mime, appended, restarts, engine_restarts: this.#engine.restarts, untaken: this.#untaken, steps: this.#track.steps };
    this.#page.snapshot(snapshot);
  }
}
