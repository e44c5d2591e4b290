// What a host says about its stream, for the page: whom to trust when nothing is pinned, and what to show.

import type { HostPolicy } from "./policy.ts";

/** What a host says; every field may be missing. */
export interface Facts {
  /** The host that says so, as it was asked. */
  endpoint?: string;
  publisher?: string | null;
  epoch?: number | null;
  kind?: string | null;
  mime?: string | null;
  state?: "waiting" | "live" | "away" | "ended";
  title?: string | null;
  /** Where the stream is to be had over HTTP; nothing when the host has no budget for that. */
  fallback?: string | null;
  /** How far viewers may go back in time; nothing when they may not. */
  time_shift?: TimeShift | null;
  bits_per_second?: number | null;
  /** Whether a ticket is needed to join. */
  admission?: "open" | "required";
  /** What the page is to say about relaying, and how much it gives. */
  player?: HostPolicy;
  /** Whether the host takes complaints about what is broadcast. */
  takedown?: boolean;
}

/** What a host says about going back in time. */
export interface TimeShift {
  /** How far back, in seconds. */
  window_s: number;
  /** How much a page keeps for others, in bytes. */
  keep_bytes: number;
  /** Where segments are to be had that no viewer keeps; nothing when the host has none. */
  segments: string | null;
}

const TIMEOUT_MS = 5_000;
/** A host that has not answered after this long is not waited for: the next one is asked as well, in milliseconds. */
const HEDGE_MS = 1_000;

/** Asks the hosts in order, the next one as soon as one fails or hesitates; the first that answers counts. */
export function fetchFacts(endpoints: readonly string[]): Promise<Facts | null> {
  return new Promise((resolve) => {
    let asked = 0;
    let failed = 0;
    const ask = () => {
      const endpoint = endpoints[asked];
      if (endpoint === undefined) return;
      asked += 1;
      const hedge = setTimeout(ask, HEDGE_MS);
      void fetchFrom(endpoint).then((facts) => {
        clearTimeout(hedge);
        if (facts) return resolve(facts);
        failed += 1;
        if (failed === endpoints.length) return resolve(null);
        ask();
      });
    };
    if (endpoints.length === 0) resolve(null);
    ask();
  });
}

async function fetchFrom(endpoint: string): Promise<Facts | null> {
  try {
    const url = new URL("api/v1/stream", endpoint);
    const response = await fetch(url, { cache: "no-store", signal: AbortSignal.timeout(TIMEOUT_MS) });
    const facts: unknown = response.ok ? await response.json() : null;
    return typeof facts === "object" && facts !== null ? { ...(facts as Facts), endpoint } : null;
  } catch {
    return null;
  }
}

/** The base address of a host, so that paths can be appended; nothing when it is none. */
export function baseUrl(text: string, page: string): string | null {
  try {
    const url = new URL(text, page);
    if (!["http:", "https:"].includes(url.protocol)) return null;
    url.search = url.hash = "";
    if (!url.pathname.endsWith("/")) url.pathname += "/";
    return url.href;
  } catch {
    return null;
  }
}
