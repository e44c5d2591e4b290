// The media element, fed through Media Source Extensions. It obeys; when to seek and how fast to play is the node's matter.

import { AppendQueue } from "./queue.ts";
import { type PlayerReport, rangeAt } from "./ranges.ts";

/** So many times the player starts anew after an error before it stays stopped. */
const RESTARTS_MAX = 5;
/** `HTMLMediaElement.HAVE_CURRENT_DATA`. */
const HAVE_CURRENT_DATA = 2;

/** What a player tells its owner. */
export interface PlayerEvents {
  /** The element's state changed: worth a report at once. */
  changed(): void;
  /** Pictures or sound run. */
  playing(): void;
  /** The browser cannot play this type. */
  unsupported(mime: string): void;
  /** The browser did not allow sound; it plays muted. */
  muted(): void;
  /** The browser does not play without the user's hand. */
  blocked(): void;
  /** The browser did not like what it was given; the player starts anew by itself. */
  restarted(reason: string): void;
  /** It gave up. */
  failed(reason: string): void;
}

/** Counters for tests and people. */
export interface PlayerCounters {
  appended: number;
  seeks: number;
  restarts: number;
}

type Source = { url: string; media: MediaSource; queue: AppendQueue | null; early: Uint8Array[]; mime: string };

/** What this browser plays from; nothing where it cannot. */
export const Media = (self as { ManagedMediaSource?: typeof MediaSource }).ManagedMediaSource ?? self.MediaSource;

/** Whether this browser plays a type. */
export function isSupported(mime: string): boolean {
  return Media?.isTypeSupported(mime) ?? false;
}

const REPORTED = ["seeking", "seeked", "waiting", "playing", "pause", "play", "canplay"];

/** One media element. */
export class Player {
  readonly #video: HTMLVideoElement;
  readonly #events: PlayerEvents;
  readonly #listening = new AbortController();
  readonly counters: PlayerCounters = { appended: 0, seeks: 0, restarts: 0 };
  #source: Source | null = null;
  #init: { mime: string; header: Uint8Array } | null = null;
  #stopped = false;
  #held = false;
  #ending = false;
  #rate = 1;

  constructor(video: HTMLVideoElement, events: PlayerEvents) {
    this.#video = video;
    this.#events = events;
    video.disableRemotePlayback = true;
    const options = { signal: this.#listening.signal };
    for (const name of REPORTED) video.addEventListener(name, () => events.changed(), options);
    video.addEventListener("playing", () => events.playing(), options);
    video.addEventListener("pause", () => this.#onPause(), options);
    video.addEventListener("play", () => (this.#held = false), options);
    video.addEventListener("error", () => this.#restart(video.error?.message ?? "media error"), options);
    document.addEventListener("visibilitychange", () => this.#onVisible(), options);
  }

  /** The type now playing. */
  get mime(): string | null {
    return this.#init?.mime ?? null;
  }

  /** A new broadcast: what was played is forgotten; its last picture stays until the new one comes. */
  begin(): void {
    this.#init = null;
    this.#stopped = this.#ending = false;
    this.#rate = 1;
    this.counters.restarts = 0;
    this.#drop();
  }

  /** What comes next is of another time: what is buffered is forgotten, its last picture stays until then. */
  turn(): void {
    this.#init = null;
    this.#ending = false;
    this.#rate = 1;
    this.#drop();
  }

  /** The codec header for what follows. */
  init(mime: string, header: Uint8Array): void {
    if (this.#source && this.#init && mime === this.#init.mime && isEqual(header, this.#init.header)) return;
    this.#init = { mime, header };
    if (!isSupported(mime)) return this.#refuse(mime);
    this.#stopped = false;
    if (!this.#source) return this.#open(mime);
    if (this.#source.mime !== mime) this.#source.queue?.changeType(mime);
    this.#source.mime = mime;
    this.#push(header);
  }

  /** A whole segment. */
  deliver(segment: Uint8Array): void {
    if (this.#stopped || !this.#source) return;
    this.counters.appended += 1;
    this.#push(segment);
  }

  /** Sets the play head, in seconds, and plays unless the user has paused. */
  seek(seconds: number): void {
    if (!this.#source) return;
    this.counters.seeks += 1;
    this.#video.currentTime = seconds;
    if (!this.#held) void this.play();
  }

  /** Plays at this rate. */
  rate(rate: number): void {
    this.#rate = rate;
    if (this.#video.playbackRate !== rate) this.#video.playbackRate = rate;
  }

  /** Nothing more follows. */
  end(): void {
    this.#ending = true;
    this.#finish();
  }

  /** Plays; without the user's hand some browsers allow it only muted. */
  async play(): Promise<void> {
    try {
      await this.#video.play();
    } catch (error) {
      if ((error as Error).name === "NotAllowedError") await this.#playMuted();
    }
  }

  /** How the element stands, or nothing before the first header. */
  report(): PlayerReport | null {
    if (!this.#source) return null;
    const video = this.#video;
    const position = video.currentTime;
    const ready = video.readyState >= HAVE_CURRENT_DATA && !video.seeking;
    // A hidden page whose element was paused by the browser is made good when it is seen again.
    const paused = this.#held || (video.paused && document.visibilityState === "hidden");
    return { position, ...rangeAt(video.buffered, position), paused, ready };
  }

  /** Lets go of the element. */
  close(): void {
    this.#listening.abort();
    this.#drop();
    this.#video.removeAttribute("src");
    this.#video.load();
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

  #open(mime: string): void {
    const media = new Media();
    const url = URL.createObjectURL(media);
    const source: Source = { url, media, queue: null, early: [], mime };
    this.#source = source;
    media.addEventListener("sourceopen", () => this.#opened(source), { once: true });
    this.#video.src = url;
    // A new source plays at the default rate; the node knows only of its own orders.
    this.#video.playbackRate = this.#rate;
    this.#push(this.#init?.header ?? new Uint8Array());
  }

  #opened(source: Source): void {
    URL.revokeObjectURL(source.url);
    if (this.#source !== source) return;
    try {
      const buffer = source.media.addSourceBuffer(source.mime);
      const queue = new AppendQueue(buffer, () => this.#video.currentTime, (reason) => this.#restart(reason));
      buffer.addEventListener("updateend", () => this.#appended(source));
      source.queue = queue;
      for (const bytes of source.early.splice(0)) queue.push(bytes);
    } catch (error) {
      this.#restart((error as Error).message);
    }
  }

  #appended(source: Source): void {
    if (this.#source !== source) return;
    source.queue?.pump();
    this.#finish();
    this.#events.changed();
  }

  #push(bytes: Uint8Array): void {
    const source = this.#source;
    if (source?.queue) source.queue.push(bytes);
    else source?.early.push(bytes);
  }

  #finish(): void {
    const source = this.#source;
    if (this.#ending && source?.queue?.idle && source.media.readyState === "open") source.media.endOfStream();
  }

  #refuse(mime: string): void {
    this.#stopped = true;
    this.#drop();
    this.#events.unsupported(mime);
  }

  /** After an error: a fresh source with the same header; the picture is back at the next key frame. */
  #restart(reason: string): void {
    if (!this.#source || this.#stopped) return;
    this.#drop();
    this.counters.restarts += 1;
    console.warn(`peerstream: player starts anew: ${reason}`);
    this.#events.restarted(reason);
    if (this.#init && this.counters.restarts <= RESTARTS_MAX) return this.#open(this.#init.mime);
    this.#stopped = true;
    this.#events.failed(reason);
  }

  #drop(): void {
    this.#source = null;
  }

  /** A pause in a hidden page is the browser's doing, not the user's. */
  #onPause(): void {
    this.#held = document.visibilityState === "visible" && !this.#video.ended;
  }

  #onVisible(): void {
    const waits = document.visibilityState === "visible" && this.#video.paused && !this.#held;
    if (waits && this.#source) void this.play();
  }
}

function isEqual(one: Uint8Array, other: Uint8Array): boolean {
  return one.length === other.length && one.every((byte, at) => byte === other[at]);
}
