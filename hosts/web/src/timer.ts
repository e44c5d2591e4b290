// One timer that is set again and again, mostly to later: it rings early inside and goes on waiting, so that setting it is cheap.

import type { Cancel, Clock } from "./clock.ts";

/** Rings this early count as in time, in milliseconds; clocks are rounded. */
const EARLY_MS = 0.5;

/** A timer whose time replaces the one before. */
export class Timer {
  readonly #clock: Clock;
  readonly #ring: () => void;
  #due = Infinity;
  #armed = Infinity;
  #cancel: Cancel = () => undefined;

  constructor(clock: Clock, ring: () => void) {
    this.#clock = clock;
    this.#ring = ring;
  }

  /** Rings at `ms` on the scale of `performance.now()`, and not at the time set before. */
  set(ms: number): void {
    this.#due = ms;
    if (this.#armed > ms) this.#arm();
  }

  /** Does not ring any more. */
  stop(): void {
    this.#cancel();
    this.#due = this.#armed = Infinity;
  }

  #arm(): void {
    this.#cancel();
    this.#armed = this.#due;
    this.#cancel = this.#clock.after(Math.ceil(this.#due - performance.now()), () => this.#rung());
  }

  #rung(): void {
    this.#armed = Infinity;
    if (performance.now() + EARLY_MS < this.#due) return this.#arm();
    this.#due = Infinity;
    this.#ring();
  }
}
