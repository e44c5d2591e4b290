// `<peerstream-player>`: one player in a page.

import { isSupported } from "./appender.ts";
import { type Cancel, pageClock } from "./clock.ts";
import { choice, choose } from "./consent.ts";
import { louder, type Shown } from "./controls.ts";
import type { Playout } from "./engine.ts";
import { baseUrl, type Facts, fetchFacts } from "./facts.ts";
import type { Action } from "./keys.ts";
import { Aim, keeping } from "./past.ts";
import { type Notice, Panel } from "./panel.ts";
import { Peers } from "./peers.ts";
import { Player, type PlayerEvents } from "./player.ts";
import { type Policy, policyOf } from "./policy.ts";
import type { Recording } from "./recordings.ts";
import { formAddress, Recent, reportAddress } from "./report.ts";
import { recordingOf, TRIES_MAX } from "./rerun.ts";
import { type Position, STEP_S } from "./scrubber.ts";
import { watchSleep } from "./sleep.ts";
import type { PageCalls } from "./station.ts";
import { type ElementStatus, NO_NODE, type NodeStatus, type PlayerStatus, stateOf, type Verdict } from "./status.ts";
import { sinceOpened, Track } from "./steps.ts";
import { rangeOf } from "./takedown/range.ts";
import { Tape } from "./tape.ts";
import { Thread } from "./thread.ts";
import { childrenWithin, copiesWithin, Rate, type Reason, reasonNot, Watch } from "./thrift.ts";
import { Visualiser } from "./visualiser.ts";
import { ago, NOT_MEDIA, refusal, unsupportedCodecs, WRONG_PUBLISHER } from "./words.ts";

/** The station hears of the play head this often, in milliseconds. */
const HEAD_MS = 150;
/** The panel is drawn anew this often, in milliseconds. */
const RENDER_MS = 1_000;
/** What is seen is made when the host has answered, or after this long, in milliseconds. */
const SEEN_MS_MAX = 100;
/** While nothing plays, the host is asked this often how the stream stands, in milliseconds. */
const FACTS_MS = 4_000;
/** A picture that stands still for longer counts as not running, in milliseconds. */
const STILL_MS = 5_000;
/** The controls go after this long without the user's hand, in milliseconds. */
const IDLE_MS = 3_000;
/** So much before the moment is reported with it, in seconds. */
const BEFORE_S = 15;
/** So much further behind than it aims to be, the player offers to go back to the live edge, in seconds. */
const BEHIND_S = 1.5;

/**
 * Plays one stream and relays it. Attributes, events and parts are described in `docs/player.md`.
 *
 * Events: `peerstream-facts` with what the host says, `peerstream-state` with the state's name, `peerstream-title` with the title of
 * what is being played, `peerstream-segment` with the bytes of a stream that is not media.
 */
export class PeerstreamPlayer extends HTMLElement {
  static readonly observedAttributes = [
    "src", "publisher", "endpoints", "token", "hide-ip", "upload-mbps", "worker",
    "muted", "relay", "latency", "bridging", "fallback", "recording", "consent", "notice", "notice-href", "metered",
  ];

  /** Servers for links besides those of the host, such as TURN servers with their credentials. Set it before the element is in a page. */
  iceServers: readonly RTCIceServer[] = [];

  #made: { panel: Panel; visualiser: Visualiser } | null = null;
  #thread: Thread | null = null;
  #peers: Peers | null = null;
  /** The station has been told to begin. */
  #begun = false;
  #player: Player | null = null;
  #watch: Watch | null = null;
  #alarms: Cancel[] = [];
  #idle: Cancel = () => undefined;
  #leaving = new AbortController();
  #facts: Facts | null = null;
  readonly #aim = new Aim(pageClock(), (behind_s) => this.#goTo(behind_s));
  #verdict: Verdict | null = null;
  #ended = false;
  #started = false;
  /** What is offered, or played, of a broadcast that is over. */
  #recording: Recording | null = null;
  #tape: Tape | null = null;
  #bridges = true;
  #title = "";
  #mime: string | null = null;
  #capacity = 0;
  #track = new Track();
  #rate = new Rate();
  readonly #recent = new Recent();
  #relaying: boolean | null = null;
  #position = 0;
  #moved = 0;
  #state = "";
  #run = 0;

  /** What is seen. It is made when it is first wanted, after the start of what takes its time. */
  get #panel(): Panel {
    return (this.#made ??= this.#make()).panel;
  }

  #make(): { panel: Panel; visualiser: Visualiser } {
    const events = {
      relay: (on: boolean): void => this.#setRelay(on),
      hand: (): void => this.#takeHand(),
      next: (): void => (this.#tape ? this.#schedule() : this.#playRecording()),
      report: (): void => this.#report(),
      act: (action: Action): void => this.#act(action),
      loud: (volume: number): void => this.#setVolume(volume),
      moveTo: (behind_s: number): void => this.#aim.to(behind_s, this.#windowS()),
    };
    const panel = new Panel(this.attachShadow({ mode: "open" }), events);
    const { video, screen } = panel;
    video.muted = this.hasAttribute("muted");
    for (const name of ["play", "pause", "volumechange"]) video.addEventListener(name, () => this.#render());
    for (const name of ["pointermove", "pointerdown", "keydown"]) screen.addEventListener(name, () => this.#stir());
    screen.addEventListener("fullscreenchange", () => this.#render());
    return { panel, visualiser: new Visualiser(panel.tones, video, pageClock()) };
  }

  /** The media element inside. */
  get video(): HTMLVideoElement {
    return this.#panel.video;
  }

  /** All there is to know about this player, for people and tests. */
  status(): ElementStatus {
    const station = this.#thread?.snapshot;
    const node = station?.node ?? NO_NODE;
    const notYet = this.#facts?.state === "waiting" || this.#facts?.state === "away";
    const verdict = this.#verdict;
    const state = stateOf({ node, verdict, notYet, ended: this.#ended, running: this.#isRunning(), taped: this.#tape !== null });
    return {
      ...node,
      state,
      detail: verdict?.detail ?? null,
      lag_ms: node.figures.lag_ms,
      title: this.#title,
      window_s: this.#windowS(),
      resting: this.#resting(),
      engine_restarts: station?.engine_restarts ?? 0,
      thread: this.#thread?.place ?? null,
      worker_refusals: this.#thread?.refusals ?? 0,
      untaken: station?.untaken ?? 0,
      steps: sinceOpened(this.#track.steps, station?.steps),
      player: this.#playerStatus(),
    };
  }

  /** Shows what was broadcast so many seconds ago, as far as the host's window goes. */
  goBack(seconds: number): void {
    this.#aim.forget();
    const behind_s = Math.min(Math.max(0, seconds), this.#windowS());
    this.#thread?.tell((station) => station.goBack(behind_s));
    this.#tellHead();
  }

  /**
   * What this page holds of the stream between two times of `video.currentTime`, in seconds, as an evidence bundle with the publisher's
   * signatures; nothing when it holds nothing of that.
   */
  async evidence(from: number, to: number): Promise<Blob | null> {
    const bundle = await this.#thread?.ask((station) => station.evidence(from, to));
    return bundle && bundle.length > 0 ? new Blob([bundle], { type: "application/vnd.peerstream.bundle" }) : null;
  }

  /** Goes to the live edge and plays. */
  returnToLive(): void {
    if (this.#tape) return;
    this.#aim.forget();
    this.#thread?.tell((station) => station.returnToEdge());
    this.#tellHead();
    void this.#player?.play();
  }

  connectedCallback(): void {
    this.#schedule();
  }

  disconnectedCallback(): void {
    this.#schedule();
  }

  attributeChangedCallback(name: string): void {
    if (name === "muted") this.#mute();
    else if (STARTS_ANEW.has(name)) this.#schedule();
    else this.#apply();
  }

  #mute(): void {
    if (this.#made) this.video.muted = this.hasAttribute("muted");
  }

  /** Changes in one go lead to one start; a move within the page is a new start. */
  #schedule(): void {
    this.#run += 1;
    const run = this.#run;
    queueMicrotask(() => {
      if (run !== this.#run) return;
      this.#stop();
      if (this.isConnected) void this.#start(run);
    });
  }

  async #start(run: number): Promise<void> {
    const endpoints = this.#endpoints();
    this.#track = new Track();
    this.#track.note("player");
    const publisher = this.getAttribute("publisher")?.trim().toLowerCase() || null;
    if (publisher !== null && !/^[0-9a-f]{64}$/.test(publisher)) {
      void this.video;
      return this.#judge({ state: "failed", detail: "The publisher's key is not 64 hexadecimal digits." });
    }
    this.#attend();
    const player = this.#prepare(endpoints);
    // Whom to trust, what may be relayed and what may be uploaded: all of it the host says.
    const asked = this.#askFacts(endpoints, run);
    const begun = asked.then(() => this.#enter(run, endpoints, publisher, player));
    // Making and drawing what is seen keeps the page's thread busy, through which all that has been started has to go.
    await Promise.race([begun, new Promise((done) => setTimeout(done, SEEN_MS_MAX))]);
    if (run !== this.#run) return;
    player();
    this.#alarms.push(pageClock().every(RENDER_MS, () => this.#apply()));
    this.#alarms.push(pageClock().every(FACTS_MS, () => void this.#askFacts(endpoints, run)));
    this.#alarms.push(pageClock().every(HEAD_MS, () => this.#tellHead()));
    this.#takeTracks();
    this.#render();
  }

  /** Begins with the broadcast, or with its recording when it is over. */
  async #enter(run: number, endpoints: string[], publisher: string | null, player: () => Player): Promise<void> {
    if (this.#facts?.state === "ended") await this.#lookForRecording(run, 1);
    if (run !== this.#run) return;
    if (!this.#recording) return this.#begin(endpoints, publisher ?? this.#facts?.publisher ?? null);
    this.#leaveOverlay();
    player();
    this.#playRecording();
  }

  /** What happens outside. */
  #attend(): void {
    this.#leaving = new AbortController();
    const { signal } = this.#leaving;
    self.addEventListener("pagehide", () => this.#stop(), { signal });
    self.addEventListener("pageshow", (event) => event.persisted && this.#schedule(), { signal });
    watchSleep(() => this.#thread?.tell((station) => station.woke()), signal);
    this.#watch = new Watch(() => this.#apply(), signal);
  }

  /** Starts what takes its time, before anything is made that is seen; gives the player, which is made when it is first wanted. */
  #prepare(endpoints: string[]): () => Player {
    let made: Player | null = null;
    const player = (): Player => (made ??= this.#player = new Player(this.video, this.#playerEvents()));
    const peers = (this.#peers = new Peers({
      peerChannels: (...news) => this.#thread?.tell((station) => station.peerChannels(...news)),
      peerDescribed: (...news) => this.#thread?.tell((station) => station.peerDescribed(...news)),
      peerCandidate: (...news) => this.#thread?.tell((station) => station.peerCandidate(...news)),
      peerFailed: (...news) => this.#thread?.tell((station) => station.peerFailed(...news)),
    }));
    this.#thread = new Thread(this.#pageCalls(player, peers), this.getAttribute("worker") === "off" ? "page" : "worker");
    this.#thread.tell((station) => station.prepare({ endpoints, token: this.getAttribute("token") }));
    return player;
  }

  #begin(endpoints: string[], publisher: string | null): void {
    this.#rate = new Rate();
    this.#capacity = childrenWithin(this.#copies());
    this.#relaying = this.#resting() === null;
    this.#begun = true;
    const { endpoint, admission } = this.#facts ?? {};
    const options = {
      endpoints,
      publisher,
      relay: this.#relaying,
      capacity: this.#capacity,
      servers: this.iceServers,
      hidden: this.hasAttribute("hide-ip"),
      playout: this.#playout(),
      token: this.getAttribute("token"),
      expected: endpoint && admission ? { endpoint, required: admission === "required" } : null,
    };
    this.#thread?.tell((station) => station.begin(options));
    this.#keep();
  }

  #stop(): void {
    this.#leaving.abort();
    for (const cancel of this.#alarms.splice(0)) cancel();
    this.#idle();
    this.#made?.visualiser.stop();
    this.#thread?.close();
    this.#peers?.closeAll();
    this.#tape?.close();
    this.#player?.close();
    this.#aim.forget();
    this.#thread = this.#peers = this.#player = this.#watch = null;
    this.#facts = this.#verdict = this.#recording = this.#tape = null;
    this.#relaying = null;
    this.#begun = this.#ended = this.#started = false;
    this.#made?.panel.ask(null);
    this.#made?.panel.offer(null);
  }

  #endpoints(): string[] {
    const further = (this.getAttribute("endpoints") ?? "").split(/[\s,]+/);
    const own = this.getAttribute("src") ?? new URL(".", import.meta.url).href;
    const bases = [own, ...further].filter((text) => text !== "").map((text) => baseUrl(text, document.baseURI));
    return [...new Set(bases.filter((base) => base !== null))];
  }

  async #askFacts(endpoints: string[], run: number): Promise<void> {
    if (this.#isRunning() && !this.#tape) return;
    const facts = await fetchFacts(endpoints);
    if (run !== this.#run || !facts) return;
    this.#facts = facts;
    this.#track.note("facts");
    if (facts.state === "live" && facts.epoch !== this.#recording?.starts_ms) this.#offerLive();
    const { endpoint, admission } = facts;
    if (endpoint && admission) this.#thread?.tell((station) => station.expect(endpoint, admission === "required"));
    this.#emit("facts", facts);
    this.#apply();
  }

  /** What the station has the page do. */
  #pageCalls(player: () => Player, peers: Peers): PageCalls {
    return {
      openPeer: (...order) => peers.openPeer(...order),
      tellPeer: (...order) => peers.tellPeer(...order),
      closePeer: (...order) => peers.closePeer(...order),
      begin: (carries) => {
        if (this.#tape) return this.#offerLive();
        this.#recording = null;
        this.#made?.panel.offer(null);
        this.#recent.clear();
        this.#ended = this.#started = false;
        this.#mime = null;
        this.#judge(carries === "data" ? { state: "unsupported", detail: NOT_MEDIA } : null);
        player().begin();
      },
      init: (mime, title) => {
        if (mime !== this.#mime) this.#judge(null);
        this.#mime = mime;
        this.#entitle(title);
      },
      attach: (source) => this.#tape ?? player().attach(source),
      turn: () => player().begin(),
      rate: (rate) => this.#tape ?? player().rate(rate),
      seek: (seconds) => player().seek(seconds),
      segment: (seq, bytes) => {
        this.#emit("segment", { seq, bytes });
        this.#thread?.tell((station) => station.taken(bytes.length));
      },
      ended: () => {
        this.#ended = true;
        this.#render();
        void this.#lookForRecording(this.#run, TRIES_MAX);
      },
      unsupported: (mime) => {
        player().detach();
        const codecs = unsupportedCodecs(mime, isSupported);
        this.#judge({ state: "unsupported", detail: `This browser cannot play ${codecs}. It still relays.` });
      },
      restarted: () => this.#stopBridging(),
      failed: (reason) => {
        player().detach();
        this.#judge({ state: "failed", detail: reason });
      },
      refused: (reason) => this.#judge({ state: "refused", detail: refusal(reason) }),
      denied: (reason) => this.#judge({ state: "refused", detail: reason }),
      wrongPublisher: () => this.#judge({ state: "refused", detail: WRONG_PUBLISHER }),
      stopped: (reason) => console.warn(`peerstream: starting again: ${reason}`),
      snapshot: () => undefined,
    };
  }

  #playerEvents(): PlayerEvents {
    return {
      changed: () => this.#tellHead(),
      playing: () => this.#nowPlaying(),
      shown: (at) => this.#track.note("shown", at),
      muted: () => this.#panel.ask("unmute"),
      blocked: () => this.#panel.ask("play"),
      broken: (reason) => this.#tape ?? this.#thread?.tell((station) => station.broken(reason)),
    };
  }

  /** Looks for what the host has recorded of the broadcast that is over, and offers it. */
  async #lookForRecording(run: number, tries: number): Promise<void> {
    const { endpoint, time_shift } = this.#facts ?? {};
    const epoch = this.status().epoch ?? this.#facts?.epoch ?? null;
    if (!endpoint || epoch === null || !time_shift?.segments || this.getAttribute("recording") === "off") return;
    const found = await recordingOf(endpoint, epoch, tries, this.#leaving.signal);
    // Another broadcast may have begun meanwhile.
    const still = run === this.#run && !this.#tape && (this.status().epoch ?? epoch) === epoch;
    if (!found || !still) return;
    this.#recording = found;
    this.#panel.offer("again");
  }

  /** Plays the recording in place of the broadcast, from its beginning. */
  #playRecording(): void {
    const { endpoint } = this.#facts ?? {};
    if (!this.#recording || !endpoint || !this.#player) return;
    const { video } = this;
    this.#player.detach();
    this.#player.rate(1);
    video.srcObject = null;
    const tape = (this.#tape = new Tape(video, new URL(this.#recording.hls, endpoint).href));
    video.addEventListener("loadedmetadata", () => this.#tape === tape && void this.#player?.play(), { once: true });
    tape.play().catch((error: Error) => this.#tape === tape && this.#onTapeFailed(tape, error.message));
    this.#panel.offer(null);
    this.#judge(null);
    this.#panel.screen.focus();
  }

  #onTapeFailed(tape: Tape, reason: string): void {
    tape.close();
    this.#tape = null;
    this.#ended = true;
    this.#judge({ state: "failed", detail: reason });
    this.#panel.offer("again");
  }

  /** A new broadcast has begun while a recording plays: it is for the viewer to say when. The old one's node has nothing to do any more. */
  #offerLive(): void {
    if (!this.#tape) return;
    this.#leaveOverlay();
    this.#panel.offer("live");
  }

  #leaveOverlay(): void {
    this.#thread?.close();
    this.#peers?.closeAll();
    this.#thread = this.#peers = null;
  }

  #tellHead(): void {
    const head = this.#player?.head();
    if (head) this.#thread?.tell((station) => station.head(head));
  }

  /** How the stream is to be played, as page, browser and host allow. */
  #playout(): Playout {
    return {
      daring: this.getAttribute("latency") === "low",
      bridges: this.#bridges && this.getAttribute("bridging") !== "off",
      fallback: this.getAttribute("fallback") !== "off" && this.#facts?.fallback !== null,
      linkless: this.#isLinkless(),
    };
  }

  /** A browser that has once stumbled over what it was given is not asked to conceal losses any more. */
  #stopBridging(): void {
    this.#bridges = false;
    this.#apply();
  }

  /** Whether no link can be made: without WebRTC, or when the address is to be hidden and there is nothing to hide it behind. */
  #isLinkless(): boolean {
    const turn = this.iceServers.some(({ urls }) => [urls].flat().some((url) => /^turns?:/.test(url)));
    return !("RTCPeerConnection" in self) || (this.hasAttribute("hide-ip") && !turn);
  }

  /** Copies that the page's upload cap has room for; nothing without a cap. */
  #copies(): number | null {
    const { upload_mbps } = this.#policy();
    const rate = Math.max(this.#facts?.bits_per_second ?? 0, this.#rate.bits_per_second ?? 0);
    return upload_mbps === null ? null : copiesWithin(upload_mbps, rate || null);
  }

  /** Why the page does not relay just now; nothing when it does. */
  #resting(): Reason | null {
    const copies = this.#copies();
    const now = this.#watch?.now() ?? { metered: false, hidden_ms: 0, battery: null };
    const reason = reasonNot({
      ...now,
      off: !this.#wantsToRelay(),
      meteredAllowed: this.#policy().metered,
      copies,
      linkless: this.#isLinkless(),
    });
    // A node keeps the number of children it began with: when the stream has grown since, it has none.
    const grown = copies !== null && this.#begun && childrenWithin(copies) < this.#capacity;
    return reason ?? (grown ? "cap" : null);
  }

  /** What page and host say about relaying. */
  #policy(): Policy {
    return policyOf((name) => this.getAttribute(name), this.#facts?.player);
  }

  /** The viewer's word, and without one what page and host say. */
  #wantsToRelay(): boolean {
    const said = choice();
    return said === null ? this.getAttribute("relay") !== "off" && this.#policy().consent !== "ask" : said === "on";
  }

  #setRelay(on: boolean): void {
    choose(on);
    this.#panel.say(on ? "This page relays" : "This page does not relay");
    this.#apply();
  }

  /** What has changed outside, the node is told. */
  #apply(): void {
    const relaying = this.#resting() === null;
    if (this.#begun) {
      if (relaying !== this.#relaying) this.#thread?.tell((station) => station.setRelay(relaying));
      this.#relaying = relaying;
      const playout = this.#playout();
      this.#thread?.tell((station) => station.setPlayout(playout));
      this.#keep();
    }
    this.#render();
  }

  /** What the page does about the past, as the host says. */
  #keep(): void {
    const memory = (navigator as { deviceMemory?: number }).deviceMemory;
    const kept = keeping(this.#facts?.time_shift, memory);
    this.#thread?.tell((station) => station.setKeeping(kept));
  }

  #entitle(title: string): void {
    if (title === this.#title) return;
    this.#title = title;
    this.#emit("title", title);
    this.#render();
  }

  #nowPlaying(): void {
    this.#started = true;
    this.#moved = performance.now();
    if (!this.video.muted) this.#panel.ask(null);
    if (!this.#hasPictures()) {
      this.#track.note("shown");
      this.#made?.visualiser.start();
    }
    this.#stir();
    this.#render();
  }

  /** Pictures or sound run, or stand still because the user wants it. */
  #isRunning(): boolean {
    if (!this.#started) return false;
    if (this.video.currentTime !== this.#position || this.#player?.report()?.paused) this.#moved = performance.now();
    this.#position = this.video.currentTime;
    return performance.now() - this.#moved < STILL_MS;
  }

  #hasPictures(): boolean {
    return !this.#mime?.startsWith("audio/");
  }

  /** The button over the video: a click is the user's hand that the browser asked for. */
  #takeHand(): void {
    this.video.muted = false;
    this.#panel.ask(null);
    void this.#player?.play();
  }

  /** Opens the host's form for complaints beside the page, with what was just seen. */
  #report(): void {
    const host = this.#facts?.endpoint;
    if (!host) return;
    if (this.#tape && this.#recording) {
      const to = this.video.currentTime;
      const range = rangeOf(this.#tape.playlist.parts, { from: Math.max(0, to - BEFORE_S), to });
      open(formAddress(host, { epoch: this.#recording.starts_ms, times_ms: null, segments: null, ...range }), "_blank", "noopener");
      return;
    }
    const address = reportAddress(host, this.status().epoch, this.video.currentTime, this.#recent.range());
    open(address, "_blank", "noopener");
  }

  #act(action: Action): void {
    const { video } = this;
    const acts: Record<Action, () => void> = {
      play: () => (video.paused ? void this.#player?.play() : video.pause()),
      mute: () => this.#setMuted(!video.muted),
      louder: () => this.#setVolume(louder(video.volume, true)),
      quieter: () => this.#setVolume(louder(video.volume, false)),
      live: () => this.returnToLive(),
      back: () => this.#move(STEP_S),
      forth: () => this.#move(-STEP_S),
      captions: () => this.#toggleCaptions(),
      picture: () => void this.#togglePicture(),
      fullscreen: () => void this.#toggleFull(),
    };
    if (this.#tape) this.#actOnTape(action, acts);
    else if (this.#player) acts[action]();
    if (!this.#hasPictures()) this.#made?.visualiser.start();
    if (action === "play") this.#panel.say(video.paused ? "Paused" : "Playing");
    this.#stir();
    this.#render();
  }

  /** What a key orders while a recording plays. */
  #actOnTape(action: Action, acts: Record<Action, () => void>): void {
    if (action === "back") this.video.currentTime -= STEP_S;
    else if (action === "forth") this.video.currentTime += STEP_S;
    else if (action !== "live") acts[action]();
  }

  /** How far back the viewer may go, in seconds. */
  #windowS(): number {
    return this.#facts?.time_shift?.window_s ?? 0;
  }

  /** Where the viewer is, or is on the way to. */
  #where({ behind_ms }: NodeStatus): Position {
    return { window_s: this.#windowS(), behind_s: this.#aim.wanted ?? (behind_ms ?? 0) / 1000 };
  }

  #move(seconds: number): void {
    if (this.#windowS() <= 0) return;
    this.#aim.move(seconds, (this.status().behind_ms ?? 0) / 1000, this.#windowS());
    this.#panel.say(ago(this.#aim.wanted ?? 0));
  }

  #goTo(behind_s: number): void {
    if (behind_s > 0) this.goBack(behind_s);
    else this.returnToLive();
    this.#render();
  }

  #setMuted(muted: boolean): void {
    this.video.muted = muted;
    if (!muted) this.#panel.ask(null);
    this.#panel.say(muted ? "Muted" : "Sound on");
  }

  #setVolume(volume: number): void {
    this.video.volume = volume;
    this.#setMuted(volume === 0);
    this.#panel.say(`Volume ${Math.round(volume * 100)} %`);
  }

  async #togglePicture(): Promise<void> {
    try {
      if (document.pictureInPictureElement) await document.exitPictureInPicture();
      else if (this.#hasPictures()) await this.video.requestPictureInPicture();
    } catch (error) {
      console.warn("peerstream: no Picture-in-Picture:", error);
    }
  }

  async #toggleFull(): Promise<void> {
    const { screen } = this.#panel;
    const { webkitEnterFullscreen } = this.video as { webkitEnterFullscreen?: () => void };
    try {
      if (this.shadowRoot?.fullscreenElement) await document.exitFullscreen();
      else if (document.fullscreenEnabled) await screen.requestFullscreen();
      else webkitEnterFullscreen?.call(this.video);
    } catch (error) {
      console.warn("peerstream: no full screen:", error);
    }
  }

  /** Captions are tracks that the page puts inside the element. */
  #takeTracks(): void {
    for (const old of this.video.querySelectorAll("track")) old.remove();
    for (const track of this.querySelectorAll("track")) this.video.append(track.cloneNode());
  }

  #captionTracks(): TextTrack[] {
    return [...this.video.textTracks].filter(({ kind }) => kind === "captions" || kind === "subtitles");
  }

  #toggleCaptions(): void {
    const tracks = this.#captionTracks();
    const shown = tracks.some(({ mode }) => mode === "showing");
    tracks.forEach((track, index) => (track.mode = !shown && index === 0 ? "showing" : "disabled"));
  }

  /** The user's hand was here: the controls are shown for a while. */
  #stir(): void {
    this.#idle();
    this.#panel.screen.removeAttribute("data-idle");
    this.#idle = pageClock().after(IDLE_MS, () => this.#panel.screen.toggleAttribute("data-idle", this.#hasPictures()));
  }

  #judge(verdict: Verdict | null): void {
    this.#verdict = verdict;
    this.#render();
  }

  #playerStatus(): PlayerStatus | null {
    const report = this.#player?.report();
    if (!report || !this.#player) return null;
    const { playbackRate: rate, muted } = this.video;
    const { appended = 0, restarts = 0 } = this.#thread?.snapshot ?? {};
    return { ...report, rate, muted, mime: this.#mime, seeks: this.#player.seeks, appended, restarts };
  }

  #shown(status: ElementStatus): Shown {
    const { lag_ms, player, target_ms, behind_ms } = status;
    const { paused, muted, volume } = this.video;
    const tracks = this.#captionTracks();
    const on = tracks.some(({ mode }) => mode === "showing");
    return {
      paused,
      muted,
      volume,
      lag_ms,
      behind: behind_ms !== null || (player?.ahead ?? 0) > target_ms / 1000 + BEHIND_S,
      position: this.#where(status),
      full: this.shadowRoot?.fullscreenElement != null,
      captions: tracks.length === 0 ? "none" : on ? "on" : "off",
      pictures: this.#hasPictures(),
    };
  }

  #notice(): Notice {
    const { consent, notice, href } = this.#policy();
    const asks = consent === "ask" && choice() === null;
    return { text: notice, link: href === null ? null : webUrl(href), asks, silent: consent === "silent" };
  }

  #render(): void {
    if (!this.#made) return;
    let status = this.status();
    if (this.#verdict?.state === "refused" && status.control) {
      this.#verdict = null;
      status = this.status();
    }
    const { next, payload_received, payload_repeated } = status.figures;
    this.#rate.note(payload_received - payload_repeated, performance.now());
    if (next > 0) this.#recent.note(next - 1, performance.now());
    this.#panel.render(status, this.#shown(status), this.#wantsToRelay(), this.#notice());
    this.#panel.offerReport(this.#facts?.takedown === true);
    if (status.state === this.#state) return;
    this.#state = status.state;
    this.#emit("state", status.state);
  }

  #emit(name: string, detail: unknown): void {
    this.dispatchEvent(new CustomEvent(`peerstream-${name}`, { detail, bubbles: true }));
  }
}

/** Attributes whose change needs another node. */
const STARTS_ANEW = new Set(["src", "publisher", "endpoints", "token", "hide-ip", "upload-mbps", "worker"]);

/** The address of a page of the web; nothing when it is something else, such as a script. */
function webUrl(text: string): string | null {
  try {
    const url = new URL(text, document.baseURI);
    return ["http:", "https:", "mailto:"].includes(url.protocol) ? url.href : null;
  } catch {
    return null;
  }
}
