// The media element. It obeys; when to seek and how fast to play is the node's matter.

import { type PlayerReport, rangeAt } from "./ranges.ts";

/** `HTMLMediaElement.HAVE_CURRENT_DATA`. */
const HAVE_CURRENT_DATA = 2;
/** `HTMLMediaElement.HAVE_FUTURE_DATA`. */
const HAVE_FUTURE_DATA = 3;
/** A play head that has not moved for this long stands, whatever the element says, in milliseconds. */
const STANDS_MS = 60;

/** What a player tells its owner. */
export interface PlayerEvents {
  /** The element's state changed: worth a report at once. */
  changed(): void;
  /** Pictures or sound run. */
  playing(): void;
  /** The first picture is on the screen, at this time of the page. */
  shown(at: number): void;
  /** The browser did not allow sound; it plays muted. */
  muted(): void;
  /** The browser does not play without the user's hand. */
  blocked(): void;
  /** The browser did not like what it was given: it needs a new source. */
  broken(reason: string): void;
}

/** Where the play head is, and how it moves. */
export interface Head {
  /** Seconds on the media's timeline. */
  position: number;
  /** Seconds of media per second; 0 while it stands. */
  rate: number;
  /** The user has paused it, or the browser does not let it play. */
  paused: boolean;
  /** Data for the position is there and the element is not seeking. */
  ready: boolean;
}

const REPORTED = ["seeking", "seeked", "waiting", "playing", "pause", "play", "canplay"];

/** One media element. */
export class Player {
  readonly #video: HTMLVideoElement;
  readonly #events: PlayerEvents;
  readonly #listening = new AbortController();
  #attached = false;
  #held = false;
  #rate = 1;
  #seeks = 0;
  #moved = { position: -1, at: 0 };

  constructor(video: HTMLVideoElement, events: PlayerEvents) {
    this.#video = video;
    this.#events = events;
    video.disableRemotePlayback = true;
    const options = { signal: this.#listening.signal };
    for (const name of REPORTED) video.addEventListener(name, () => events.changed(), options);
    video.addEventListener("playing", () => events.playing(), options);
    video.addEventListener("pause", () => this.#onPause(), options);
    video.addEventListener("play", () => (this.#held = false), options);
    video.requestVideoFrameCallback?.((now) => events.shown(now));
    video.addEventListener("error", () => events.broken(video.error?.message ?? "media error"), options);
    document.addEventListener("visibilitychange", () => this.#onVisible(), options);
  }

  /** Times the play head was set. */
  get seeks(): number {
    return this.#seeks;
  }

  /** A new broadcast: its source follows, if it is not there yet; the last picture of the one before stays until then. */
  begin(): void {
    this.#rate = 1;
  }

  /** Plays from another source. */
  attach(source: MediaSource | MediaSourceHandle): void {
    this.#attached = true;
    if ("addSourceBuffer" in source) this.#attachUrl(source);
    // The types of browsers do not know yet that a handle is one of the things an element plays.
    else this.#video.srcObject = source as unknown as MediaSource;
    // A new source plays at the default rate; the node knows only of its own orders.
    this.#video.playbackRate = this.#rate;
    this.#events.changed();
  }

  /** There is nothing to play any more. */
  detach(): void {
    this.#attached = false;
  }

  /** Sets the play head, in seconds, and plays unless the user has paused. */
  seek(seconds: number): void {
    if (!this.#attached) return;
    this.#seeks += 1;
    this.#video.currentTime = seconds;
    if (!this.#held) void this.play();
  }

  /** Plays at this rate. */
  rate(rate: number): void {
    this.#rate = rate;
    if (this.#video.playbackRate !== rate) this.#video.playbackRate = rate;
  }

  /** Plays; without the user's hand some browsers allow it only muted. */
  async play(): Promise<void> {
    try {
      await this.#video.play();
    } catch (error) {
      if ((error as Error).name === "NotAllowedError") await this.#playMuted();
    }
  }

  /** Where the play head is, or nothing before the first source. */
  head(): Head | null {
    if (!this.#attached) return null;
    const video = this.#video;
    const ready = video.readyState >= HAVE_CURRENT_DATA && !video.seeking;
    // A hidden page whose element was paused by the browser is made good when it is seen again.
    const paused = this.#held || (video.paused && document.visibilityState === "hidden");
    const position = video.currentTime;
    return { position, rate: this.#moves(position) ? video.playbackRate : 0, paused, ready };
  }

  /** How the element stands, or nothing before the first source. */
  report(): PlayerReport | null {
    const head = this.head();
    if (!head) return null;
    const { position, paused, ready } = head;
    return { position, ...rangeAt(this.#video.buffered, position), paused, ready };
  }

  /** Lets go of the element. */
  close(): void {
    this.#listening.abort();
    this.#attached = false;
    this.#video.srcObject = null;
    this.#video.removeAttribute("src");
    this.#video.load();
  }

  /** Whether the play head goes on. One that waits for data must not seem to: the node would not help it over a hole. */
  #moves(position: number): boolean {
    const now = performance.now();
    if (position !== this.#moved.position) this.#moved = { position, at: now };
    const { readyState, seeking, paused, ended } = this.#video;
    return readyState >= HAVE_FUTURE_DATA && !seeking && !paused && !ended && now - this.#moved.at < STANDS_MS;
  }

  #attachUrl(source: MediaSource): void {
    const url = URL.createObjectURL(source);
    source.addEventListener("sourceopen", () => URL.revokeObjectURL(url), { once: true });
    this.#video.src = url;
  }

  async #playMuted(): Promise<void> {
    try {
      if (this.#video.muted) throw new Error("not even muted");
      this.#video.muted = true;
      await this.#video.play();
      this.#events.muted();
    } catch (error) {
      if ((error as Error).name === "AbortError") return;
      this.#held = true;
      this.#events.blocked();
    }
  }

  /** A pause in a hidden page is the browser's doing, not the user's. */
  #onPause(): void {
    this.#held = document.visibilityState === "visible" && !this.#video.ended;
  }

  #onVisible(): void {
    const waits = document.visibilityState === "visible" && this.#video.paused && !this.#held;
    if (waits && this.#attached) void this.play();
  }
}
