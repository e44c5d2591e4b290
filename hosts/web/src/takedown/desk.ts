// The operator's side of the API; see `docs/takedown.md`.

import { ask, type Notice, type Profile } from "./api.ts";

/** Other pages cannot send this header. */
const OWN_PAGE = { "x-peerstream-desk": "1" };

/** What the host says about the desk. */
export interface Session {
  profiles: Profile[];
  mail: boolean;
}

/** A line of the list. */
export interface Row {
  case: number;
  state: string;
  profile: Profile;
  lane: "fast" | "normal" | "slow";
  received_us: number;
  due_us: number | null;
  title: string;
  claimant: string;
  from_ms: number | null;
  to_ms: number | null;
  epoch: number;
  comparison: string | null;
  claimant_rejected: number;
  revision: number;
}

/** One entry of the log. */
export interface Entry {
  at_us?: number;
  seq?: number;
  hash?: string;
  [field: string]: unknown;
}

/** A case with all that is known. */
export interface Whole {
  case: Record<string, unknown> & {
    id: number;
    revision: number;
    state?: string;
    notice: Notice & Record<string, unknown>;
  };
  entries: Entry[];
  steps: string[];
  strikes: number;
}

/** What the list is narrowed down to. */
export interface Filter {
  state: string;
  profile: string;
  text: string;
}

/** Asks the desk. */
export function desk<T>(method: string, path: string, body?: unknown): Promise<T> {
  return ask<T>(method, `desk/${path}`, { headers: OWN_PAGE, body });
}

/** A page of the list, after this case. */
export function cases(filter: Filter, after: number | null, max: number): Promise<{ cases: Row[]; more: boolean; counts: Record<string, number> }> {
  const query = new URLSearchParams({ max: String(max) });
  for (const [name, value] of Object.entries(filter)) if (value !== "") query.set(name, value);
  if (after !== null) query.set("after", String(after));
  return desk("GET", `cases?${query}`);
}
