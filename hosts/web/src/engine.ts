// Ties one node to the world: carries its orders out and tells it what happens. It decides nothing.

import type { Admission } from "./admission.ts";
import type { Cancel, Clock } from "./clock.ts";
import { Control, earlyConnection } from "./control.ts";
import { type Calls, type Core, CoreStopped } from "./core.ts";
import { Fetcher, live, past } from "./fetched.ts";
import { iceServers } from "./ice.ts";
import { Links } from "./links.ts";
import type { PeerCalls, PeerEvents } from "./peers.ts";
import type { Bytes, Carries, Orders, Side } from "./records.ts";
import type { Keeping } from "./past.ts";
import type { PlayerReport } from "./ranges.ts";
import type { Step } from "./steps.ts";
import { Timer } from "./timer.ts";

/** A module that stopped is replaced after this long, doubling up to the maximum, in milliseconds. */
const RESTART_MS = 1_000;
const RESTART_MS_MAX = 30_000;

/** What an engine is from its start. */
export interface EngineOptions {
  /** Base addresses of hosts, tried in order. */
  endpoints: readonly string[];
  /** The publisher's key in hexadecimal, when it is known. */
  publisher: string | null;
  /** Whether the user lets the page relay. */
  relay: boolean;
  /** Children it can feed. */
  capacity: number;
  /** Servers for links besides those of the host, such as TURN servers with their credentials. */
  servers: readonly RTCIceServer[];
  /** Only candidates of TURN servers are used, so that no neighbour learns this page's address. */
  hidden: boolean;
  /** How the stream is to be played. */
  playout: Playout;
  /** Gets leave from hosts that do not let everybody in. */
  admission: Admission;
}

/** What an engine stands on, in the page as in a Worker. */
export interface EngineGround {
  clock: Clock;
  /** The connections that the page holds. */
  peers: PeerCalls;
  /** An instance of the module; a stopped one is replaced by a fresh one. */
  load(): Promise<Core>;
}

/** What the node says to the player and the page. */
export interface EngineEvents {
  begin(carries: Carries): void;
  init(mime: string, title: string, header: Uint8Array): void;
  deliver(seq: number, segment: Uint8Array): void;
  /** What is delivered next does not go on where the last delivery ended; an init comes first. */
  turn(): void;
  rate(rate: number): void;
  seek(seconds: number): void;
  ended(): void;
  refused(reason: string): void;
  /** A host does not let this page in; why, for people to read. */
  denied(reason: string): void;
  wrongPublisher(key: string): void;
  /** The module stopped; a new node starts by itself. */
  stopped(reason: string): void;
  /** How the player stands, or nothing while there is none. */
  player(): PlayerReport | null;
  /** This is done. */
  step(step: Step): void;
}

/** How a stream is to be played. */
export interface Playout {
  /** A stall is accepted when a node dies, for less lag. */
  daring: boolean;
  /** Lost segments are bridged over instead of waiting for the next key frame. */
  bridges: boolean;
  /** The host may send the stream over HTTP when nobody feeds the page. */
  fallback: boolean;
  /** No links can be made here. */
  linkless: boolean;
}

type Times = [number, number, number, number, number, number, number];
type Call = (calls: Calls, node: number, now: number) => number;

/** As the module reads it. */
function bits({ daring, bridges, fallback, linkless }: Playout): number {
  return [daring, bridges, fallback, linkless].reduce((bits, flag, bit) => bits | (flag ? 1 << bit : 0), 0);
}

const microseconds = (): number => performance.now() * 1000;

/** One node, in a Worker or in the page. */
export class Engine implements Orders {
  readonly #options: EngineOptions;
  readonly #ground: EngineGround;
  readonly #events: EngineEvents;
  #core: Core | null = null;
  #node = 0;
  #relay: boolean;
  #playout: Playout;
  #control: Control | null = null;
  #links: Links | null = null;
  /** A connection to the first endpoint for the first start. */
  #early: WebSocket | null;
  #restart: Cancel = () => undefined;
  readonly #fetcher: Fetcher;
  readonly #past: Fetcher;
  #keeping: Keeping = { bytes: 0, span_s: 0, host: false };
  readonly #timer: Timer;
  #waiting: Call[] = [];
  #running = false;
  #closed = false;
  #restarts = 0;

  constructor(options: EngineOptions, early: WebSocket | null, ground: EngineGround, events: EngineEvents) {
    this.#options = options;
    this.#early = early;
    this.#ground = ground;
    this.#events = events;
    this.#timer = new Timer(ground.clock, () => this.#tell((calls, node, now) => calls.ps_tick(node, now)));
    this.#relay = options.relay;
    this.#playout = options.playout;
    this.#fetcher = new Fetcher(options.admission, {
      fetched: (frame) => this.#tellBytes(frame, (calls, node, now, len) => calls.ps_fetched(node, now, len)),
      ended: () => this.#tell((calls, node, now) => calls.ps_fetch_ended(node, now)),
    });
    this.#past = new Fetcher(options.admission, {
      fetched: (frame) => this.#tellBytes(frame, (calls, node, now, len) => calls.ps_past_fetched(node, now, len)),
      ended: (whole) => this.#tell((calls, node, now) => calls.ps_past_fetch_ended(node, now, whole ? 1 : 0)),
    });
  }

  /** Loads the module and starts the node. Once; what stops starts again by itself. */
  async start(): Promise<void> {
    try {
      const { endpoints, admission } = this.#options;
      const early = this.#early ?? earlyConnection(endpoints, admission);
      this.#early = null;
      this.#control = new Control(endpoints, early, this.#ground.clock, admission, this.#controlEvents());
      const core = await this.#ground.load();
      this.#events.step("module");
      if (!this.#closed) this.#begin(core);
    } catch (error) {
      this.#stop(error);
    }
  }

  /** The user's word on relaying. */
  setRelay(on: boolean): void {
    this.#relay = on;
    this.#tell((calls, node, now) => calls.ps_relay(node, now, on ? 1 : 0));
  }

  /** Tells the node how the player stands, at once. */
  reportPlayer(): void {
    const report = this.#events.player();
    if (!report) return;
    const flags = (report.paused ? 1 : 0) + (report.ready ? 2 : 0);
    const { position, start, end, next, nextEnd, latest, ahead } = report;
    const times = [position, start, end, next ?? -1, nextEnd ?? -1, latest, ahead].map((seconds) => seconds * 1e6) as Times;
    this.#tell((calls, node, now) => calls.ps_player(node, now, ...times, flags));
  }

  /** How the stream is to be played from now on. */
  setPlayout(playout: Playout): void {
    const before = bits(this.#playout);
    this.#playout = playout;
    if (bits(playout) !== before) this.#tellPlayout();
  }

  #tellPlayout(): void {
    this.#tell((calls, node, now) => calls.ps_playout(node, now, bits(this.#playout)));
  }

  /** The user wants to be at the live edge. */
  returnToEdge(): void {
    this.#tell((calls, node, now) => calls.ps_return_to_edge(node, now));
    this.reportPlayer();
  }

  /** What the node does about the past from now on. */
  setKeeping(keeping: Keeping): void {
    const { bytes, span_s, host } = this.#keeping;
    this.#keeping = keeping;
    if (bytes !== keeping.bytes || span_s !== keeping.span_s || host !== keeping.host) this.#tellKeeping();
  }

  #tellKeeping(): void {
    const { bytes, span_s, host } = this.#keeping;
    this.#tell((calls, node, now) => calls.ps_keeping(node, now, bytes, span_s * 1e6, host ? 1 : 0));
  }

  /** The user wants to see what was so many seconds ago. */
  goBack(seconds: number): void {
    this.#tell((calls, node, now) => calls.ps_go_back(node, now, seconds * 1e6));
  }

  /** An evidence bundle of what the node holds between two times on the media's timeline, in seconds; empty when that is nothing. */
  evidence(from: number, to: number): Uint8Array<ArrayBuffer> {
    if (!this.#core || this.#core.stopped || !this.#node) return new Uint8Array();
    return this.#core.evidence(this.#node, from * 1e6, to * 1e6);
  }

  /** The page was frozen or hidden, or its network has changed. */
  woke(): void {
    this.#tell((calls, node, now) => calls.ps_woke(node, now));
  }

  /** What the page says of the connections of links; late words on links that are gone are nothing. */
  get links(): PeerEvents | null {
    return this.#links;
  }

  /** The node's view of itself, or nothing before it started. */
  status(): unknown {
    return this.#core && !this.#core.stopped && this.#node ? this.#core.status(this.#node) : null;
  }

  /** Times the module had to be replaced. */
  get restarts(): number {
    return this.#restarts;
  }

  /** Says goodbye and ends. */
  close(): void {
    if (this.#closed) return;
    this.#tell((calls, node, now) => calls.ps_leave(node, now));
    this.#closed = true;
    this.#letGo();
  }

  // The node's orders.

  openControl(endpoint: number): void {
    this.#control?.open(endpoint);
  }

  closeControl(): void {
    this.#control?.close();
  }

  control(message: Bytes): void {
    this.#control?.send(message);
  }

  open(link: number, side: Side, ice: string[]): void {
    const { servers, hidden } = this.#options;
    const all = [...iceServers(ice, this.#control?.endpoint ?? null), ...servers];
    this.#links?.open(link, side, { iceServers: all, iceTransportPolicy: hidden ? "relay" : "all" });
  }

  signal(link: number, message: Bytes): void {
    this.#links?.signal(link, message);
  }

  closeLink(link: number): void {
    this.#links?.close(link);
  }

  send(link: number, lane: number, frame: Bytes): void {
    this.#links?.send(link, lane, frame);
  }

  begin(carries: Carries): void {
    this.#events.begin(carries);
  }

  init(mime: string, title: string, header: Bytes): void {
    this.#events.init(mime, title, header.slice());
  }

  deliver(seq: number, segment: Bytes): void {
    this.#events.deliver(seq, segment.slice());
  }

  skip(): void {
    // The node counts it; the player finds out by itself.
  }

  rate(rate: number): void {
    this.#events.rate(rate);
  }

  seek(seconds: number): void {
    this.#events.seek(seconds);
  }

  ended(): void {
    this.#events.ended();
  }

  refused(reason: string): void {
    this.#events.refused(reason);
  }

  wrongPublisher(key: string): void {
    this.#events.wrongPublisher(key);
  }

  setTimer(ms: number): void {
    this.#timer.set(ms);
  }

  fetch(from: number | null): void {
    const endpoint = this.#control?.endpoint ?? this.#options.endpoints[0];
    if (endpoint !== undefined) this.#fetcher.open(endpoint, live(from));
  }

  endFetch(): void {
    this.#fetcher.close();
  }

  turn(): void {
    this.#events.turn();
  }

  fetchPast(from: number, count: number): void {
    const endpoint = this.#control?.endpoint ?? this.#options.endpoints[0];
    if (endpoint !== undefined) this.#past.open(endpoint, past(from, count));
  }

  endFetchPast(): void {
    this.#past.close();
  }

  #begin(core: Core): void {
    this.#core = core;
    const { endpoints, publisher, capacity } = this.#options;
    const { clock, peers } = this.#ground;
    this.#links = new Links({ clock, signals: core, peers, events: this.#linkEvents() });
    const seed = crypto.getRandomValues(new Uint8Array(32));
    const config = { role: "viewer", capacity, relay: this.#relay, endpoints: endpoints.length } as const;
    this.#node = core.create({ ...config, publisher, seed }, microseconds());
    this.#tell((calls, node) => calls.ps_first(node));
    this.#tellPlayout();
    this.#tellKeeping();
  }

  #controlEvents(): ConstructorParameters<typeof Control>[4] {
    return {
      controlUp: () => {
        this.#events.step("control");
        this.#tell((calls, node, now) => calls.ps_control_up(node, now));
      },
      controlDenied: (reason) => this.#events.denied(reason),
      controlDown: () => this.#tell((calls, node, now) => calls.ps_control_down(node, now)),
      controlMessage: (message) =>
        this.#tellBytes(message, (calls, node, now, len) => calls.ps_control(node, now, len)),
    };
  }

  #linkEvents(): ConstructorParameters<typeof Links>[0]["events"] {
    return {
      linkUp: (link, credit) => this.#tell((calls, node, now) => calls.ps_link_up(node, now, link, credit)),
      linkDown: (link) => this.#tell((calls, node, now) => calls.ps_link_down(node, now, link)),
      linkFailed: (link) => this.#tell((calls, node, now) => calls.ps_link_failed(node, now, link)),
      writable: (link, credit) => this.#tell((calls, node, now) => calls.ps_writable(node, now, link, credit)),
      linkSignal: (link, message) =>
        this.#tellBytes(message, (calls, node, now, len) => calls.ps_link_signal(node, now, link, len)),
      frame: (link, lane, frame) =>
        this.#tellBytes(frame, (calls, node, now, len) => calls.ps_frame(node, now, link, lane, len)),
    };
  }

  #tellBytes(bytes: Uint8Array, call: (calls: Calls, node: number, now: number, len: number) => number): void {
    this.#tell((calls, node, now) => call(calls, node, now, this.#core?.write(bytes) ?? 0));
  }

  /** Tells the node one fact and carries out what it orders; a fact that arises meanwhile waits its turn. */
  #tell(call: Call): void {
    if (!this.#node || this.#closed) return;
    this.#waiting.push(call);
    if (this.#running) return;
    this.#running = true;
    try {
      this.#run();
    } catch (error) {
      this.#stop(error);
    } finally {
      this.#running = false;
    }
  }

  #run(): void {
    for (let call = this.#waiting.shift(); call; call = this.#waiting.shift()) {
      const core = this.#core;
      if (!core) return;
      const told = call;
      core.carryOut(core.guard((calls) => told(calls, this.#node, microseconds())), this);
      if (this.#waiting.length === 0) this.#links?.settle();
    }
  }

  /** A module that stopped takes its node along; a new one starts after a while. */
  #stop(error: unknown): void {
    console.error("peerstream:", error);
    this.#letGo();
    if (this.#closed) return;
    this.#events.stopped(error instanceof CoreStopped ? "internal error" : String(error));
    const wait = Math.min(RESTART_MS * 2 ** this.#restarts, RESTART_MS_MAX);
    this.#restarts += 1;
    this.#restart = this.#ground.clock.after(wait, () => void this.start());
  }

  #letGo(): void {
    this.#timer.stop();
    this.#restart();
    this.#waiting = [];
    this.#links?.closeAll();
    this.#control?.close();
    this.#fetcher.close();
    this.#past.close();
    const [core, node] = [this.#core, this.#node];
    this.#core = this.#control = this.#links = null;
    this.#node = 0;
    if (core && node && !core.stopped) core.drop(node);
  }
}
