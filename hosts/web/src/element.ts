// `<peerstream-player>`: one player in a page.

import { Admission } from "./admission.ts";
import { type Cancel, pageClock } from "./clock.ts";
import { Engine, type EngineEvents, type Playout } from "./engine.ts";
import { baseUrl, type Facts, fetchFacts } from "./facts.ts";
import { Panel } from "./panel.ts";
import { isSupported, Player, type PlayerEvents } from "./player.ts";
import { consent, setConsent } from "./consent.ts";
import { watchSleep } from "./sleep.ts";
import { type ElementStatus, NO_NODE, type NodeStatus, type PlayerStatus, stateOf, type Verdict } from "./status.ts";
import { NOT_MEDIA, refusal, unsupportedCodecs, WRONG_PUBLISHER } from "./words.ts";

/** The panel is drawn anew this often, in milliseconds. */
const RENDER_MS = 1_000;
/** While nothing plays, the host is asked this often how the stream stands, in milliseconds. */
const FACTS_MS = 4_000;
/** A picture that stands still for longer counts as not running, in milliseconds. */
const STILL_MS = 5_000;

/**
 * Plays one stream and relays it.
 *
 * Attributes: `src` (the host's base address; the script's own host without it), `publisher` (its key in hexadecimal, to trust nobody
 * else), `endpoints` (further hosts, tried in order, separated by spaces), `token` (what hosts want to see that do not let everybody in), `muted`, and `relay="off"`.
 *
 * Events: `peerstream-facts` with what the host says, `peerstream-state` with the state's name, `peerstream-segment` with the bytes of
 * a stream that is not media.
 */
export class PeerstreamPlayer extends HTMLElement {
  static readonly observedAttributes = ["src", "publisher", "endpoints", "token", "muted", "relay", "latency", "bridging"];

  readonly #panel: Panel;
  #engine: Engine | null = null;
  #player: Player | null = null;
  #alarms: Cancel[] = [];
  #leaving = new AbortController();
  #facts: Facts | null = null;
  #admission = new Admission(null);
  #verdict: Verdict | null = null;
  #ended = false;
  #started = false;
  #bridges = true;
  #position = 0;
  #moved = 0;
  #state = "";
  #run = 0;

  constructor() {
    super();
    const relay = (on: boolean): void => this.#setRelay(on);
    this.#panel = new Panel(this.attachShadow({ mode: "open" }), relay, () => this.#takeHand());
  }

  /** The media element inside. */
  get video(): HTMLVideoElement {
    return this.#panel.video;
  }

  /** All there is to know about this player, for people and tests. */
  status(): ElementStatus {
    const node = (this.#engine?.status() as NodeStatus | null | undefined) ?? NO_NODE;
    const notYet = this.#facts?.state === "waiting";
    const verdict = this.#verdict;
    const state = stateOf({ node, verdict, notYet, ended: this.#ended, running: this.#isRunning() });
    const lag_ms = node.figures.lag_ms;
    const engine_restarts = this.#engine?.restarts ?? 0;
    return { ...node, state, detail: verdict?.detail ?? null, lag_ms, engine_restarts, player: this.#playerStatus() };
  }

  connectedCallback(): void {
    this.#schedule();
  }

  disconnectedCallback(): void {
    this.#schedule();
  }

  attributeChangedCallback(name: string): void {
    if (name === "muted") this.video.muted = this.hasAttribute("muted");
    else if (name === "relay") this.#applyRelay();
    else if (name === "latency" || name === "bridging") this.#engine?.setPlayout(this.#playout());
    else this.#schedule();
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
    this.#leaving = new AbortController();
    this.#admission = new Admission(this.getAttribute("token"));
    const { signal } = this.#leaving;
    self.addEventListener("pagehide", () => this.#stop(), { signal });
    self.addEventListener("pageshow", (event) => event.persisted && this.#schedule(), { signal });
    watchSleep(() => this.#engine?.woke(), signal);
    this.#alarms.push(pageClock().every(RENDER_MS, () => this.#render()));
    this.#alarms.push(pageClock().every(FACTS_MS, () => void this.#askFacts(endpoints, run)));
    this.#render();
    const asked = this.#askFacts(endpoints, run);
    const pinned = this.getAttribute("publisher")?.trim().toLowerCase() || null;
    if (!pinned) await asked;
    if (run !== this.#run) return;
    this.#begin(endpoints, pinned ?? this.#facts?.publisher ?? null);
  }

  #begin(endpoints: string[], publisher: string | null): void {
    if (publisher !== null && !/^[0-9a-f]{64}$/i.test(publisher)) {
      return this.#judge({ state: "failed", detail: "The publisher's key is not 64 hexadecimal digits." });
    }
    this.#player = new Player(this.video, this.#playerEvents());
    const options = { endpoints, publisher, relay: this.#relay(), playout: this.#playout(), admission: this.#admission };
    this.#engine = new Engine(options, this.#engineEvents(this.#player));
    void this.#engine.start();
  }

  #stop(): void {
    this.#leaving.abort();
    this.#admission.close();
    for (const cancel of this.#alarms.splice(0)) cancel();
    this.#engine?.close();
    this.#player?.close();
    this.#engine = this.#player = null;
    this.#facts = this.#verdict = null;
    this.#ended = this.#started = false;
    this.#panel.ask(null);
  }

  #endpoints(): string[] {
    const further = (this.getAttribute("endpoints") ?? "").split(/[\s,]+/);
    const own = this.getAttribute("src") ?? new URL(".", import.meta.url).href;
    const bases = [own, ...further].filter((text) => text !== "").map((text) => baseUrl(text, document.baseURI));
    return [...new Set(bases.filter((base) => base !== null))];
  }

  async #askFacts(endpoints: string[], run: number): Promise<void> {
    if (this.#isRunning()) return;
    const facts = await fetchFacts(endpoints);
    if (run !== this.#run || !facts) return;
    this.#facts = facts;
    if (facts.endpoint && facts.admission) this.#admission.expect(facts.endpoint, facts.admission === "required");
    this.#emit("facts", facts);
    this.#render();
  }

  #engineEvents(player: Player): EngineEvents {
    return {
      begin: (carries) => {
        this.#ended = false;
        this.#started = false;
        this.#judge(carries === "data" ? { state: "unsupported", detail: NOT_MEDIA } : null);
        player.begin();
      },
      init: (mime, _title, header) => {
        this.#judge(null);
        player.init(mime, header);
      },
      deliver: (seq, segment) => {
        player.deliver(segment);
        if (!player.mime) this.#emit("segment", { seq, bytes: segment });
      },
      rate: (rate) => player.rate(rate),
      seek: (seconds) => player.seek(seconds),
      ended: () => {
        this.#ended = true;
        player.end();
        this.#render();
      },
      refused: (reason) => this.#judge({ state: "refused", detail: refusal(reason) }),
      denied: (reason) => this.#judge({ state: "refused", detail: reason }),
      wrongPublisher: () => this.#judge({ state: "refused", detail: WRONG_PUBLISHER }),
      stopped: (reason) => console.warn(`peerstream: starting again: ${reason}`),
      player: () => player.report(),
    };
  }

  #playerEvents(): PlayerEvents {
    return {
      changed: () => this.#engine?.reportPlayer(),
      playing: () => this.#nowPlaying(),
      unsupported: (mime) => {
        const codecs = unsupportedCodecs(mime, isSupported);
        this.#judge({ state: "unsupported", detail: `This browser cannot play ${codecs}. It still relays.` });
      },
      muted: () => this.#panel.ask("unmute"),
      blocked: () => this.#panel.ask("play"),
      restarted: () => this.#stopBridging(),
      failed: (reason) => this.#judge({ state: "failed", detail: reason }),
    };
  }

  #playout(): Playout {
    return { daring: this.getAttribute("latency") === "low", bridges: this.#bridges && this.getAttribute("bridging") !== "off" };
  }

  /** A browser that has once stumbled over what it was given is not asked to conceal losses any more. */
  #stopBridging(): void {
    this.#bridges = false;
    this.#engine?.setPlayout(this.#playout());
  }

  #nowPlaying(): void {
    this.#started = true;
    this.#moved = performance.now();
    if (!this.video.muted) this.#panel.ask(null);
    this.#render();
  }

  /** Pictures or sound run, or stand still because the user wants it. */
  #isRunning(): boolean {
    if (this.video.currentTime !== this.#position || this.#player?.report()?.paused) this.#moved = performance.now();
    this.#position = this.video.currentTime;
    return this.#started && performance.now() - this.#moved < STILL_MS;
  }

  /** The button over the video: a click is the user's hand that the browser asked for. */
  #takeHand(): void {
    this.video.muted = false;
    this.#panel.ask(null);
    void this.#player?.play();
  }

  #judge(verdict: Verdict | null): void {
    this.#verdict = verdict;
    this.#render();
  }

  #relay(): boolean {
    return this.getAttribute("relay") !== "off" && consent();
  }

  #setRelay(on: boolean): void {
    setConsent(on);
    if (on && this.getAttribute("relay") === "off") this.removeAttribute("relay");
    this.#applyRelay();
  }

  #applyRelay(): void {
    this.#engine?.setRelay(this.#relay());
    this.#render();
  }

  #playerStatus(): PlayerStatus | null {
    const report = this.#player?.report();
    if (!report || !this.#player) return null;
    const { playbackRate: rate, muted } = this.video;
    return { ...report, rate, muted, mime: this.#player.mime, ...this.#player.counters };
  }

  #render(): void {
    let status = this.status();
    if (this.#verdict?.state === "refused" && status.control) {
      this.#verdict = null;
      status = this.status();
    }
    this.#panel.render(status, this.#relay());
    if (status.state === this.#state) return;
    this.#state = status.state;
    this.#emit("state", status.state);
  }

  #emit(name: string, detail: unknown): void {
    this.dispatchEvent(new CustomEvent(`peerstream-${name}`, { detail, bubbles: true }));
  }
}
