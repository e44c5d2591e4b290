// The operator's side of the API; see `docs/takedown.md`.

import { ask, type Notice, type Profile } from "./api.ts";
import type { Letter, Mails } from "./letters.ts";

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
  mails: Mails;
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
    evidence?: { bundle: unknown; times_ms: [from: number, to: number] | null; faults: string[] } | null;
    copy?: unknown;
  };
  entries: Entry[];
  steps: string[];
  /** Those that were made, with the text as it was shown. */
  statements: { id: string; version: number; text: string }[];
  counter: Record<string, unknown> | null;
  suit: Record<string, unknown> | null;
  strikes: number;
  letters: Letter[];
}

/** A notice whose sender's address nobody has confirmed. */
export interface Unconfirmed {
  draft: string;
  expires_us: number;
  notice: Notice;
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

/** A page of the list, without so many at its beginning. */
export function cases(filter: Filter, skip: number, max: number): Promise<{ cases: Row[]; more: boolean; counts: Record<string, number> }> {
  const query = new URLSearchParams({ max: String(max) });
  for (const [name, value] of Object.entries(filter)) if (value !== "") query.set(name, value);
  if (skip > 0) query.set("skip", String(skip));
  return desk("GET", `cases?${query}`);
}
