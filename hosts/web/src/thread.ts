// Where a station runs: in a Worker, so that a busy page neither stalls nor starves those it feeds, or else in the page.

import { connect } from "./calls.ts";
import { type Cancel, pageClock } from "./clock.ts";
import { compile, loadCore } from "./load.ts";
import { type PageCalls, type Snapshot, Station, type StationCalls } from "./station.ts";
import { startWorker } from "./workers.ts";
import script from "worker:./worker.ts";

/** A Worker that has not begun after this long is not waited for, in milliseconds. */
const BEGIN_MS_MAX = 3_000;

/** What a Worker wants besides what a station wants. */
export interface WorkerPageCalls extends PageCalls {
  /** It can do all that a station needs. */
  ready(): void;
  /** The browser lets it do too little. */
  unable(): void;
  /** The node's module. */
  compile(): Promise<WebAssembly.Module>;
}

/** Where a station may run. */
export type Place = "worker" | "page";

/** The thread of one station. */
export class Thread {
  readonly #page: PageCalls;
  #worker: Worker | null = null;
  #station: StationCalls | null = null;
  /** The station that the Worker will most likely have: what it is told waits there. */
  #likely: StationCalls | null = null;
  /** What was told before it was clear where the station runs, which is soon: nothing comes every moment before it has begun. */
  #told: ((station: StationCalls) => void)[] = [];
  #asked: ((station: StationCalls) => void)[] = [];
  #disconnect = (): void => undefined;
  #deadline: Cancel = () => undefined;
  #closed = false;
  #snapshot: Snapshot | null = null;
  #refusals = 0;

  /** Starts what takes its time: the Worker, if one is wanted, and the module. */
  constructor(page: PageCalls, wanted: Place) {
    const snapshot = (snapshot: Snapshot): void => {
      this.#snapshot = snapshot;
      this.tell((station) => station.seen());
    };
    this.#page = { ...page, snapshot };
    void compile().catch(() => undefined);
    if (wanted === "worker") this.#tryWorker();
    else this.#settle(new Station(this.#page, { clock: pageClock(), load: loadCore }), false);
  }

  /** Where the station runs; nothing while that is not clear. */
  get place(): Place | null {
    if (!this.#station) return null;
    return this.#worker ? "worker" : "page";
  }

  /** Times that a Worker was wanted and not to be had. */
  get refusals(): number {
    return this.#refusals;
  }

  /** What the station last told of itself. */
  get snapshot(): Snapshot | null {
    return this.#snapshot;
  }

  /** Tells the station something; what is told while a Worker starts is told again elsewhere should that come to nothing. */
  tell(call: (station: StationCalls) => void): void {
    if (this.#closed) return;
    if (this.#station) return call(this.#station);
    this.#told.push(call);
    if (this.#likely) call(this.#likely);
  }

  /** Asks the station something, or as soon as there is one; nothing when it ends before it has answered. */
  ask<T>(question: (station: StationCalls) => Promise<T>): Promise<T | null> {
    return new Promise((answer) => {
      const ask = (station: StationCalls): void => void question(station).then(answer, () => answer(null));
      if (this.#closed) answer(null);
      else if (this.#station) ask(this.#station);
      else this.#asked.push(ask);
    });
  }

  /** Ends the station; a Worker says goodbye and ends itself. */
  close(): void {
    this.tell((station) => station.close());
    // What a Worker has said meanwhile is for nobody any more.
    this.#disconnect();
    if (!this.#station) this.#worker?.terminate();
    this.#deadline();
    this.#closed = true;
    this.#told = this.#asked = [];
  }

  #tryWorker(): void {
    const worker = (this.#worker = startWorker(script));
    if (!worker) return this.#fallBack();
    const ready = (): void => this.#settle(there, true);
    const page = { ...this.#page, ready, unable: () => this.#fallBack(), compile };
    const { there, close } = connect<StationCalls, WorkerPageCalls>(worker, () => page, ["evidence"]);
    this.#disconnect = close;
    this.#likely = there;
    worker.onerror = (event) => {
      if (this.#station) return console.error("peerstream:", event.message);
      event.preventDefault();
      this.#fallBack();
    };
    this.#deadline = pageClock().after(BEGIN_MS_MAX, () => this.#fallBack());
  }

  /** A page may forbid Workers, and a browser may keep too much from them; then the page's thread has to do. */
  #fallBack(): void {
    if (this.#station || this.#closed) return;
    this.#refusals += 1;
    this.#disconnect();
    this.#worker?.terminate();
    this.#worker = null;
    this.#settle(new Station(this.#page, { clock: pageClock(), load: loadCore }), false);
  }

  /** From here on it is clear where the station runs; whether that one has been told what was told so far. */
  #settle(station: StationCalls, informed: boolean): void {
    if (this.#station || this.#closed) return;
    this.#deadline();
    this.#station = station;
    this.#likely = null;
    const told = this.#told.splice(0);
    if (!informed) for (const call of told) call(station);
    for (const ask of this.#asked.splice(0)) ask(station);
  }
}
