// Plays a recording in a media element: fetches its parts as they are needed and feeds them through Media Source Extensions.

import { isSupported, Media } from "./appender.ts";
import { type Part, partAt, type Playlist, readPlaylist } from "./playlist.ts";

/** So much ahead of the play head is fetched, in seconds. */
const AHEAD_S = 24;
/** Behind the play head this much stays, in seconds. */
const KEPT_S = 30;
/** A head this little before a range counts as inside, in seconds. */
const EDGE_S = 0.25;
/** Where the host was killed a part is shorter than its playlist says. A hole up to so long is jumped over, in seconds. */
const HOLE_S = 3;
/** The playlist of a recording that still grows is asked for this often; what fails is tried again after this long, in milliseconds. */
const RELOAD_MS = 3_000;
/** Failures in a row before the tape gives up. */
const FAILURES_MAX = 5;
/** While nothing is to be done the tape looks again after this long, in milliseconds. */
const IDLE_MS = 200;
/** A larger codec header or part is none of ours, in bytes. */
const BYTES_MAX = 96 * 1024 * 1024;

const pause = (ms: number): Promise<void> => new Promise((done) => setTimeout(done, ms));

/** One recording in one media element. */
export class Tape {
  readonly #video: HTMLVideoElement;
  readonly #url: string;
  readonly #leaving = new AbortController();
  #playlist: Playlist = { parts: [], ended: false };
  #loaded = 0;
  /** The header that was appended last, and its type. */
  #init = "";
  #type = "";
  /** The part that was appended last; -1 for none. */
  #last = -1;

  /** `url` is the address of its playlist. */
  constructor(video: HTMLVideoElement, url: string) {
    this.#video = video;
    this.#url = url;
  }

  /** The playlist as it was read last. */
  get playlist(): Playlist {
    return this.#playlist;
  }

  /** Plays until [close]; fails when the recording cannot be had or played. */
  async play(): Promise<void> {
    await this.#reload();
    const [first] = this.#playlist.parts;
    if (!first) throw new Error(this.#playlist.ended ? "The recording is empty." : "Nothing is recorded yet.");
    const media = new Media();
    this.#video.src = URL.createObjectURL(media);
    await new Promise((done) => media.addEventListener("sourceopen", done, { once: true }));
    URL.revokeObjectURL(this.#video.src);
    const header = await this.#header(first);
    const buffer = media.addSourceBuffer(header.type);
    this.#type = header.type;
    // Parts follow each other whatever their own clocks say.
    buffer.mode = "sequence";
    await this.#run(media, buffer);
  }

  /** Lets go of the element. */
  close(): void {
    this.#leaving.abort();
  }

  async #run(media: MediaSource, buffer: SourceBuffer): Promise<void> {
    let failures = 0;
    while (!this.#leaving.signal.aborted) {
      try {
        if (!this.#playlist.ended && performance.now() - this.#loaded > RELOAD_MS) await this.#reload();
        const { parts, ended } = this.#playlist;
        const total = parts.reduce((sum, { duration }) => sum + duration, 0);
        if (media.readyState === "open" && !buffer.updating && !(media.duration >= total)) media.duration = total;
        this.#leap(buffer);
        const next = this.#wanted(buffer);
        if (next === null || next >= parts.length) {
          if (ended && next !== null && media.readyState === "open" && this.#last === parts.length - 1) media.endOfStream();
          await pause(IDLE_MS);
          continue;
        }
        await this.#append(buffer, next);
        failures = 0;
      } catch (error) {
        failures += 1;
        if (this.#leaving.signal.aborted) return;
        if (failures >= FAILURES_MAX) throw error;
        await pause(RELOAD_MS / 3);
      }
    }
  }

  /** The number of the part that is needed next; nothing while there is enough. */
  #wanted(buffer: SourceBuffer): number | null {
    const head = this.#video.currentTime;
    let end = head;
    for (let at = 0; at < buffer.buffered.length; at += 1) {
      const near = end > head ? HOLE_S : EDGE_S;
      if (buffer.buffered.start(at) <= end + near && buffer.buffered.end(at) > end) end = buffer.buffered.end(at);
    }
    if (end - head >= AHEAD_S) return null;
    const number = partAt(this.#playlist.parts, end + EDGE_S);
    // What was just appended may be a little shorter than its playlist says.
    return number === this.#last && end > head ? number + 1 : number;
  }

  /** From the end of what is there over a small hole to what comes next. */
  #leap(buffer: SourceBuffer): void {
    const video = this.#video;
    if (video.seeking || video.readyState >= HTMLMediaElement.HAVE_FUTURE_DATA) return;
    const { buffered } = buffer;
    for (let at = 1; at < buffered.length; at += 1) {
      const [end, start] = [buffered.end(at - 1), buffered.start(at)];
      const stuck = video.currentTime < start && Math.abs(video.currentTime - end) <= EDGE_S;
      if (stuck && start - end <= HOLE_S) video.currentTime = start;
    }
  }

  async #append(buffer: SourceBuffer, number: number): Promise<void> {
    const part = this.#playlist.parts[number] as Part;
    const bytes = await this.#fetch(part.url);
    const head = this.#video.currentTime;
    if (buffer.buffered.length > 0 && buffer.buffered.start(0) < head - 2 * KEPT_S) {
      await done(buffer, () => buffer.remove(0, head - KEPT_S));
    }
    if (number !== this.#last + 1 || part.discontinuity) {
      buffer.abort();
      buffer.timestampOffset = part.start;
    }
    if (part.init !== this.#init) {
      const header = await this.#header(part);
      if (header.type !== this.#type) buffer.changeType(header.type);
      await done(buffer, () => buffer.appendBuffer(header.bytes));
      [this.#init, this.#type] = [part.init, header.type];
    }
    await done(buffer, () => buffer.appendBuffer(bytes));
    this.#last = number;
  }

  async #header({ init }: Part): Promise<{ bytes: Uint8Array<ArrayBuffer>; type: string }> {
    const response = await fetch(init, { signal: this.#leaving.signal });
    if (!response.ok) throw new Error("The codec header of the recording is not there.");
    const type = response.headers.get("content-type") ?? "video/mp4";
    if (!isSupported(type)) throw new Error(`This browser cannot play ${type}.`);
    return { bytes: new Uint8Array(await response.arrayBuffer()), type };
  }

  async #fetch(url: string): Promise<Uint8Array<ArrayBuffer>> {
    const response = await fetch(url, { signal: this.#leaving.signal });
    if (!response.ok) throw new Error(response.status === 410 ? "This part is withheld." : "A part of the recording is not there.");
    if (Number(response.headers.get("content-length")) > BYTES_MAX) throw new Error("A part is too large.");
    return new Uint8Array(await response.arrayBuffer());
  }

  async #reload(): Promise<void> {
    this.#loaded = performance.now();
    const response = await fetch(this.#url, { cache: "no-store", signal: this.#leaving.signal });
    if (!response.ok) throw new Error("There is no such recording.");
    this.#playlist = readPlaylist(await response.text(), this.#url);
  }
}

/** Does something with a buffer and waits until it has done it. */
function done(buffer: SourceBuffer, act: () => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const listening = new AbortController();
    const end = (settle: () => void) => () => {
      listening.abort();
      settle();
    };
    const { signal } = listening;
    buffer.addEventListener("updateend", end(resolve), { signal });
    buffer.addEventListener("error", end(() => reject(new Error("The browser did not like the recording."))), { signal });
    try {
      act();
    } catch (error) {
      end(() => reject(error as Error))();
    }
  });
}
