// Timers that a hidden page does not slow down: they run in a Worker.

import { startWorker } from "./workers.ts";

/** Ends an alarm; harmless when it has rung. */
export type Cancel = () => void;

/** The only source of timers. */
export interface Clock {
  /** Calls `ring` once, after `ms` milliseconds. */
  after(ms: number, ring: () => void): Cancel;
  /** Calls `ring` every `ms` milliseconds. */
  every(ms: number, ring: () => void): Cancel;
}

const WORKER = `
const timers = new Map();
onmessage = ({ data: [id, ms] }) => {
  clearTimeout(timers.get(id));
  timers.delete(id);
  if (ms >= 0) timers.set(id, setTimeout(() => { timers.delete(id); postMessage(id); }, ms));
};`;

class WorkerClock implements Clock {
  readonly #rings = new Map<number, () => void>();
  #worker: Worker | null;
  #last = 0;

  constructor() {
    this.#worker = startWorker(WORKER);
    if (!this.#worker) return;
    this.#worker.onmessage = ({ data }: MessageEvent<number>) => this.#ring(data);
    this.#worker.onerror = () => this.#fallBack();
  }

  after(ms: number, ring: () => void): Cancel {
    const id = (this.#last += 1);
    this.#rings.set(id, ring);
    if (this.#worker) this.#worker.postMessage([id, Math.max(0, ms)]);
    else setTimeout(() => this.#ring(id), ms);
    return () => this.#cancel(id);
  }

  every(ms: number, ring: () => void): Cancel {
    let cancel = this.after(ms, again);
    const clock = this;
    function again(): void {
      cancel = clock.after(ms, again);
      ring();
    }
    return () => cancel();
  }

  #ring(id: number): void {
    const ring = this.#rings.get(id);
    this.#rings.delete(id);
    ring?.();
  }

  #cancel(id: number): void {
    if (this.#rings.delete(id)) this.#worker?.postMessage([id, -1]);
  }

  /** A page may forbid Workers; then its own timers have to do. What waited rings at once. */
  #fallBack(): void {
    this.#worker = null;
    for (const id of [...this.#rings.keys()]) setTimeout(() => this.#ring(id), 0);
  }
}

/** The clock of a Worker, whose timers nobody slows down. */
export const ownClock: Clock = {
  after(ms, ring) {
    const id = setTimeout(ring, ms);
    return () => clearTimeout(id);
  },
  every(ms, ring) {
    const id = setInterval(ring, ms);
    return () => clearInterval(id);
  },
};

let shared: Clock | undefined;

/** The page's clock; one Worker serves all players on it. */
export function pageClock(): Clock {
  shared ??= new WorkerClock();
  return shared;
}
