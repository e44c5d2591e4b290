// Going back in time: what the page keeps, and where the viewer wants to be.

import type { Cancel, Clock } from "./clock.ts";
import type { TimeShift } from "./facts.ts";

/** Nearer to the live edge than this is live, in seconds. */
export const BACK_S_MIN = 2;
/** Presses of a button or a slider's moves are gathered for this long, in milliseconds. */
const GATHER_MS = 250;
/** A machine with so much memory or less, in GiB, keeps a quarter. */
const SMALL_GIB = 2;

/** What the node is told about the past. */
export interface Keeping {
  bytes: number;
  span_s: number;
  host: boolean;
}

/** What a host's facts mean for this page; nothing is kept while they are not known. */
export function keeping(told: TimeShift | null | undefined, memory_gib: number | undefined): Keeping {
  if (!told) return { bytes: 0, span_s: 0, host: false };
  const bytes = memory_gib !== undefined && memory_gib <= SMALL_GIB ? told.keep_bytes / 4 : told.keep_bytes;
  return { bytes, span_s: told.window_s, host: told.segments !== null };
}

/** Where the viewer wants to be: presses are gathered, so that ten of them are one move. */
export class Aim {
  readonly #clock: Clock;
  readonly #go: (behind_s: number) => void;
  #wanted: number | null = null;
  #gathering: Cancel = () => undefined;

  /** `go` is told how many seconds behind the live edge the viewer wants to be; 0 for at the edge. */
  constructor(clock: Clock, go: (behind_s: number) => void) {
    this.#clock = clock;
    this.#go = go;
  }

  /** Where it is on the way to, in seconds behind the live edge; nothing when it is not on the way. */
  get wanted(): number | null {
    return this.#wanted;
  }

  /** So many seconds further back (or forth) than where the viewer is or is on the way to. */
  move(seconds: number, behind_s: number, window_s: number): void {
    this.to((this.#wanted ?? behind_s) + seconds, window_s);
  }

  /** To so many seconds behind the live edge. */
  to(behind_s: number, window_s: number): void {
    const within = Math.min(Math.max(0, behind_s), window_s);
    this.#wanted = within < BACK_S_MIN ? 0 : within;
    this.#gathering();
    this.#gathering = this.#clock.after(GATHER_MS, () => this.#arrive());
  }

  /** Forgets where it was going. */
  forget(): void {
    this.#gathering();
    this.#wanted = null;
  }

  #arrive(): void {
    const wanted = this.#wanted;
    this.#wanted = null;
    if (wanted !== null) this.#go(wanted);
  }
}
