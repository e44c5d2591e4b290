// What a host says about its stream, for the page: whom to trust when nothing is pinned, and what to show.

/** What a host says; every field may be missing. */
export interface Facts {
  publisher?: string | null;
  epoch?: number | null;
  kind?: string | null;
  mime?: string | null;
  state?: "waiting" | "live" | "ended";
  title?: string | null;
}

const TIMEOUT_MS = 5_000;

/** Asks the hosts in order; the first that answers counts. */
export async function fetchFacts(endpoints: readonly string[]): Promise<Facts | null> {
  for (const endpoint of endpoints) {
    const facts = await fetchFrom(endpoint);
    if (facts) return facts;
  }
  return null;
}

async function fetchFrom(endpoint: string): Promise<Facts | null> {
  try {
    const url = new URL("api/v1/stream", endpoint);
    const response = await fetch(url, { cache: "no-store", signal: AbortSignal.timeout(TIMEOUT_MS) });
    const facts: unknown = response.ok ? await response.json() : null;
    return typeof facts === "object" ? (facts as Facts | null) : null;
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
