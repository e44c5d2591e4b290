// What waits for a SourceBuffer: one append at a time, neighbours together, and old data out.

/** As much as one append takes, in bytes. */
export const APPEND_BYTES_MAX = 1024 * 1024;
/** More than this waiting means that the browser takes nothing any more, in bytes. */
export const WAITING_BYTES_MAX = 32 * 1024 * 1024;
/** Behind the play head this much stays, in seconds. */
export const KEPT_S = 10;
/** Eviction waits until this much more has gathered, in seconds. */
const EVICT_STEP_S = 5;
/** When the browser has no room, only this much stays, in seconds. */
const KEPT_FULL_S = 1;
/** Ahead of the play head at most this much stays, in seconds. */
const AHEAD_S_MAX = 60;
/** Appends refused for lack of room before the queue gives up. */
const QUOTA_RETRIES_MAX = 3;

/** The part of a SourceBuffer that the queue uses. */
export interface Sink {
  readonly updating: boolean;
  readonly buffered: TimeRanges;
  appendBuffer(bytes: BufferSource): void;
  remove(start: number, end: number): void;
  changeType(mime: string): void;
}

type Waiting = { mime: string } | { bytes: Uint8Array };

/** Feeds one sink in order. Call [pump] at every `updateend`. */
export class AppendQueue {
  readonly #sink: Sink;
  readonly #head: () => number;
  readonly #fail: (reason: string) => void;
  #waiting: Waiting[] = [];
  #waitingBytes = 0;
  #retries = 0;

  /** `head` tells the play head in seconds; `fail` is called when the sink takes no more. */
  constructor(sink: Sink, head: () => number, fail: (reason: string) => void) {
    this.#sink = sink;
    this.#head = head;
    this.#fail = fail;
  }

  /** Whether all was appended. */
  get idle(): boolean {
    return this.#waiting.length === 0 && !this.#sink.updating;
  }

  /** From here on another type. */
  changeType(mime: string): void {
    this.#waiting.push({ mime });
    this.pump();
  }

  /** Adds a whole segment or codec header; [pump] has it appended. */
  push(bytes: Uint8Array): void {
    this.#waiting.push({ bytes });
    this.#waitingBytes += bytes.length;
    if (this.#waitingBytes > WAITING_BYTES_MAX) this.#fail("the player takes no data");
  }

  /** Does the next thing, if the sink is free. */
  pump(): void {
    if (this.#sink.updating) return;
    try {
      this.#step();
    } catch (error) {
      this.#fail(error instanceof Error ? error.message : String(error));
    }
  }

  #step(): void {
    if (this.#evict(KEPT_S, EVICT_STEP_S)) return;
    const next = this.#waiting[0];
    if (!next) return;
    if ("bytes" in next) return this.#append();
    this.#waiting.shift();
    this.#sink.changeType(next.mime);
    this.#step();
  }

  #append(): void {
    const [bytes, count] = this.#neighbours();
    try {
      this.#sink.appendBuffer(bytes);
    } catch (error) {
      return this.#noRoom(error);
    }
    this.#retries = 0;
    this.#waiting.splice(0, count);
    this.#waitingBytes -= bytes.length;
  }

  /** The first waiting segments as one, and how many they are. */
  #neighbours(): [bytes: Uint8Array<ArrayBuffer>, count: number] {
    const parts: Uint8Array[] = [];
    let total = 0;
    for (const item of this.#waiting) {
      if (!("bytes" in item) || (parts.length > 0 && total + item.bytes.length > APPEND_BYTES_MAX)) break;
      parts.push(item.bytes);
      total += item.bytes.length;
    }
    return [parts.length === 1 ? (parts[0] as Uint8Array<ArrayBuffer>) : concat(parts, total), parts.length];
  }

  #noRoom(error: unknown): void {
    const full = error instanceof Error && error.name === "QuotaExceededError";
    this.#retries += 1;
    if (!full || this.#retries > QUOTA_RETRIES_MAX) throw error;
    this.#evict(KEPT_FULL_S, 0);
  }

  /** Removes what lies further than `kept` behind the play head, once it is `step` or more; true when the sink is busy. */
  #evict(kept: number, step: number): boolean {
    const buffered = this.#sink.buffered;
    if (buffered.length === 0) return false;
    // A paused head stays behind for ever; what it stands on goes as well once there is too much.
    const head = Math.max(this.#head(), buffered.end(buffered.length - 1) - AHEAD_S_MAX);
    const until = head - kept;
    if (until <= buffered.start(0) + step) return false;
    this.#sink.remove(0, until);
    return true;
  }
}

function concat(parts: Uint8Array[], total: number): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(total);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
