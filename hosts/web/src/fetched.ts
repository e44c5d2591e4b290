// The stream over HTTP: live when nobody feeds this page, or what is past and no other viewer keeps. It carries the frames of a link; the
// node checks them as such.

import type { Admission } from "./admission.ts";

/** A longer frame is no frame of ours, in bytes. */
const FRAME_BYTES_MAX = 64 * 1024;
/** The host has so long to begin, in milliseconds. */
const BEGIN_MS_MAX = 8_000;

/** Cuts bytes into frames: before each stands its length as four bytes, little endian. */
export class Deframer {
  #rest = new Uint8Array(0);

  /** Takes bytes in and gives the frames that are whole; throws when they are no frames. */
  push(bytes: Uint8Array): Uint8Array[] {
    const all = new Uint8Array(this.#rest.length + bytes.length);
    all.set(this.#rest);
    all.set(bytes, this.#rest.length);
    const view = new DataView(all.buffer);
    const frames: Uint8Array[] = [];
    let at = 0;
    while (at + 4 <= all.length) {
      const length = view.getUint32(at, true);
      if (length > FRAME_BYTES_MAX) throw new Error(`a frame of ${length} bytes`);
      if (at + 4 + length > all.length) break;
      frames.push(all.subarray(at + 4, at + 4 + length));
      at += 4 + length;
    }
    this.#rest = all.slice(at);
    return frames;
  }
}

/** What is told of it; after `ended` nothing follows. `whole`: the host has sent all that it has of what was asked for, if only nothing. */
export interface FetchEvents {
  fetched(frame: Uint8Array): void;
  ended(whole: boolean): void;
}

/** What a host is asked for. */
export interface Wanted {
  path: string;
  query: Record<string, number>;
}

/** One response at a time. */
export class Fetcher {
  readonly #admission: Admission;
  readonly #events: FetchEvents;
  #present: AbortController | null = null;

  constructor(admission: Admission, events: FetchEvents) {
    this.#admission = admission;
    this.#events = events;
  }

  /** Asks a host. */
  open(endpoint: string, wanted: Wanted): void {
    this.close();
    const present = (this.#present = new AbortController());
    void this.#run(endpoint, wanted, present);
  }

  /** Wants no more; nothing is told of it. */
  close(): void {
    this.#present?.abort();
    this.#present = null;
  }

  async #run(endpoint: string, wanted: Wanted, present: AbortController): Promise<void> {
    let whole = false;
    try {
      const ticket = await this.#admission.ticket(endpoint);
      if (!present.signal.aborted) whole = await this.#read(addressOf(wanted, endpoint, ticket), present);
    } catch {
      // Whatever the reason, the node tries again later or does without.
    }
    if (this.#present !== present) return;
    this.#present = null;
    present.abort();
    this.#events.ended(whole);
  }

  async #read(url: string, present: AbortController): Promise<boolean> {
    const late = setTimeout(() => present.abort(), BEGIN_MS_MAX);
    const response = await fetch(url, { cache: "no-store", signal: present.signal });
    clearTimeout(late);
    if (response.status !== 200 || !response.body) return response.status === 404;
    const reader = response.body.getReader();
    const deframer = new Deframer();
    for (;;) {
      const { value, done } = await reader.read();
      if (done || this.#present !== present) return done;
      for (const frame of deframer.push(value)) this.#events.fetched(frame);
    }
  }
}

/** The stream from a segment on, or from its newest join point. */
export const live = (from: number | null): Wanted => ({ path: "api/v1/live", query: from === null ? {} : { from } });

/** So many segments of the past. */
export const past = (from: number, count: number): Wanted => ({ path: "api/v1/segments", query: { from, count } });

function addressOf({ path, query }: Wanted, endpoint: string, ticket: string | null): string {
  const url = new URL(path, endpoint);
  for (const [name, value] of Object.entries(query)) url.searchParams.set(name, String(value));
  if (ticket !== null) url.searchParams.set("ticket", ticket);
  return url.href;
}
