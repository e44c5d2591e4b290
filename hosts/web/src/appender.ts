// The media source of a player: codec headers and segments go in, in order. It runs where the engine runs.

import { AppendQueue, WAITING_BYTES_MAX } from "./queue.ts";

/** So many times a source is made anew after an error before it stays away. */
const RESTARTS_MAX = 5;

/** What an appender tells its owner. */
export interface AppenderEvents {
  /** A new source, for the media element to play from. */
  attach(source: MediaSource | MediaSourceHandle): void;
  /** The browser has taken something in. */
  appended(): void;
  /** The browser cannot play this type. */
  unsupported(mime: string): void;
  /** The browser did not like what it was given; a new source is made at once. */
  restarted(reason: string): void;
  /** It gave up. */
  failed(reason: string): void;
}

/** Counters for tests and people. */
export interface AppenderCounters {
  appended: number;
  restarts: number;
}

interface Source {
  media: MediaSource;
  buffer: SourceBuffer | null;
  queue: AppendQueue | null;
  early: Uint8Array[];
  earlyBytes: number;
  /** Nothing while it is not known what is to be played. */
  mime: string | null;
}

/** What this browser plays from; nothing where it cannot. */
export const Media = (self as { ManagedMediaSource?: typeof MediaSource }).ManagedMediaSource ?? self.MediaSource;

/** Whether this browser plays a type. */
export function isSupported(mime: string): boolean {
  return Media?.isTypeSupported(mime) ?? false;
}

/** Fills one media element's sources, one at a time. */
export class Appender {
  readonly #head: () => number;
  readonly #events: AppenderEvents;
  readonly counters: AppenderCounters = { appended: 0, restarts: 0 };
  #source: Source | null = null;
  #init: { mime: string; header: Uint8Array } | null = null;
  #stopped = false;
  #ending = false;
  #pumping = false;

  /** `head` tells the play head in seconds. */
  constructor(head: () => number, events: AppenderEvents) {
    this.#head = head;
    this.#events = events;
  }

  /** The type that is being appended. */
  get mime(): string | null {
    return this.#init?.mime ?? null;
  }

  /** What the element can play; nothing before there is a source. */
  get buffered(): TimeRanges | null {
    const source = this.#source;
    // A source that the element has let go of has no ranges any more.
    return source?.buffer && source.media.readyState !== "closed" ? source.buffer.buffered : null;
  }

  /** Has the element open a source before there is anything for it, so that the first picture does not wait for that. */
  prepare(): void {
    if (Media) this.#source ??= this.#make(null);
  }

  /** A new broadcast: what was appended is forgotten. */
  begin(): void {
    this.#init = null;
    this.#stopped = this.#ending = false;
    this.counters.restarts = 0;
    if (this.#source?.mime !== null) this.close();
  }

  /** What comes next is of another time: what is buffered is forgotten. */
  turn(): void {
    this.#init = null;
    this.#ending = false;
    if (this.#source?.mime !== null) this.close();
  }

  /** The codec header for what follows. */
  init(mime: string, header: Uint8Array): void {
    if (this.#source && this.#init && mime === this.#init.mime && isEqual(header, this.#init.header)) return;
    this.#init = { mime, header };
    if (!isSupported(mime)) return this.#refuse(mime);
    this.#stopped = false;
    const source = (this.#source ??= this.#make(mime));
    if (source.mime !== mime) source.queue?.changeType(mime);
    source.mime = mime;
    this.#push(header);
    this.#fill(source);
  }

  /** A whole segment. */
  deliver(segment: Uint8Array): void {
    if (this.#stopped || !this.#source?.mime) return;
    this.counters.appended += 1;
    this.#push(segment);
  }

  /** Nothing more follows. */
  end(): void {
    this.#ending = true;
    this.#finish();
  }

  /** After an error: a fresh source with the same header; the picture is back at the next key frame. */
  restart(reason: string): void {
    if (!this.#source || this.#stopped) return;
    this.close();
    this.counters.restarts += 1;
    console.warn(`peerstream: player starts anew: ${reason}`);
    this.#events.restarted(reason);
    if (this.#init && this.counters.restarts <= RESTARTS_MAX) {
      this.#source = this.#make(this.#init.mime);
      return this.#push(this.#init.header);
    }
    this.#stopped = true;
    this.#events.failed(reason);
  }

  /** Lets go of the source. */
  close(): void {
    this.#source = null;
  }

  /** A new source; it fills itself once the element has opened it and its type is known. */
  #make(mime: string | null): Source {
    const media = new Media();
    const source: Source = { media, buffer: null, queue: null, early: [], earlyBytes: 0, mime };
    media.addEventListener("sourceopen", () => this.#fill(source), { once: true });
    // In a Worker a source has a handle, which goes to the page.
    const { handle } = media as { handle?: MediaSourceHandle };
    this.#events.attach(typeof document === "undefined" && handle ? handle : media);
    return source;
  }

  #fill(source: Source): void {
    if (this.#source !== source || source.queue || source.mime === null || source.media.readyState !== "open") return;
    try {
      const buffer = (source.buffer = source.media.addSourceBuffer(source.mime));
      const queue = new AppendQueue(buffer, this.#head, (reason) => this.restart(reason));
      buffer.addEventListener("updateend", () => this.#appended(source));
      source.queue = queue;
      for (const bytes of source.early.splice(0)) queue.push(bytes);
      this.#pumpSoon();
    } catch (error) {
      this.restart((error as Error).message);
    }
  }

  #appended(source: Source): void {
    if (this.#source !== source) return;
    source.queue?.pump();
    this.#finish();
    this.#events.appended();
  }

  #push(bytes: Uint8Array): void {
    const source = this.#source;
    if (source?.queue) {
      source.queue.push(bytes);
      return this.#pumpSoon();
    }
    if (!source) return;
    // A page that is busy lets its element take a source late.
    source.early.push(bytes);
    source.earlyBytes += bytes.length;
    if (source.earlyBytes > WAITING_BYTES_MAX) this.restart("the player takes no data");
  }

  /** Codec header and segments that come in one go are one append. */
  #pumpSoon(): void {
    if (this.#pumping) return;
    this.#pumping = true;
    queueMicrotask(() => {
      this.#pumping = false;
      this.#source?.queue?.pump();
    });
  }

  #finish(): void {
    const source = this.#source;
    if (this.#ending && source?.queue?.idle && source.media.readyState === "open") source.media.endOfStream();
  }

  #refuse(mime: string): void {
    this.#stopped = true;
    this.close();
    this.#events.unsupported(mime);
  }
}

function isEqual(one: Uint8Array, other: Uint8Array): boolean {
  return one.length === other.length && one.every((byte, at) => byte === other[at]);
}
