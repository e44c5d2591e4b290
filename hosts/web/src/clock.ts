// Timers that a hidden page does not slow down: they run in a Worker.

import { startWorker } from "./workers.ts";

/** A page in view needs no Worker for its timers, and has better to do while it starts: it comes so much later, in milliseconds. */
const WORKER_AFTER_MS = 2_000;

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
  readonly #rings = new Map<number, { ring: () => void; due: number }>();
  #worker: Worker | null = null;
  #last = 0;

  constructor() {
    const late = setTimeout(start, WORKER_AFTER_MS);
    const hidden = (): void => void (document.visibilityState === "hidden" && start());
    const clock = this;
    document.addEventListener("visibilitychange", hidden);
    if (document.visibilityState === "hidden") start();
    function start(): void {
      clearTimeout(late);
      document.removeEventListener("visibilitychange", hidden);
      clock.#start();
    }
  }

  after(ms: number, ring: () => void): Cancel {
    const id = (this.#last += 1);
    this.#rings.set(id, { ring, due: performance.now() + ms });
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
    const waits = this.#rings.get(id);
    this.#rings.delete(id);
    waits?.ring();
  }

  /** What waits is told to the Worker too; whoever rings first counts. */
  #start(): void {
    const worker = (this.#worker = startWorker(WORKER));
    if (!worker) return;
    worker.onmessage = ({ data }: MessageEvent<number>) => this.#ring(data);
    worker.onerror = () => this.#fallBack();
    for (const [id, { due }] of this.#rings) worker.postMessage([id, Math.max(0, due - performance.now())]);
  }

  #cancel(id: number): void {
    if (this.#rings.delete(id)) this.#worker?.postMessage([id, -1]);
  }

  /** A page may forbid Workers; then its own timers have to do. What waited rings at once. */
  #fallBack(): void {
    this.#worker = null;
    for (const id of this.#rings.keys()) setTimeout(() => this.#ring(id), 0);
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
