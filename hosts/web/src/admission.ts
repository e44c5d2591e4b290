// Leave to open a control connection, from hosts that do not let everybody in.

import { solve } from "./work.ts";

const TIMEOUT_MS = 5_000;
/** Questions to a host in one go: a puzzle may expire while it is solved. */
const QUESTIONS_MAX = 3;
/** A ticket is not used in the last part of its time, in milliseconds. */
const MARGIN_MS = 5_000;

/** What a host says to a newcomer; see `hosts/peerstream/src/entrance.rs`. */
type Told =
  | { verdict: "allow"; ticket: string; ttl_s: number }
  | { verdict: "challenge"; task: "work"; puzzle: string; bits: number }
  | { verdict: "challenge"; task: "token" }
  | { verdict: "deny"; message: string };

/** A host's word that this page may not join; for people to read. */
export class Denied extends Error {}

type Door = { required: boolean; ticket: string | null; until: number };

/** Remembers which hosts want tickets, and the tickets. */
export class Admission {
  readonly #token: string | null;
  readonly #leaving = new AbortController();
  readonly #doors = new Map<string, Door>();
  readonly #now: () => number;

  /** With a token from whoever embeds the page, if there is one. */
  constructor(token: string | null, now: () => number = () => performance.now()) {
    this.#token = token;
    this.#now = now;
  }

  /** What a host says of itself. */
  expect(endpoint: string, required: boolean): void {
    this.#door(endpoint).required = required;
  }

  /** A connection did not open, and a page does not learn why: the host is asked before the next one. */
  doubt(endpoint: string): void {
    const door = this.#door(endpoint);
    door.required = true;
    door.ticket = null;
  }

  /** Whether a connection to this host can be opened at once. */
  isOpen(endpoint: string): boolean {
    return !this.#door(endpoint).required;
  }

  /** A ticket for a host; nothing when it wants none or gives no answer. */
  async ticket(endpoint: string): Promise<string | null> {
    const door = this.#door(endpoint);
    if (!door.required) return null;
    if (door.ticket !== null && this.#now() < door.until) return door.ticket;
    let proof = this.#token;
    for (let asked = 0; asked < QUESTIONS_MAX && !this.#leaving.signal.aborted; asked += 1) {
      const told = await this.#ask(endpoint, proof);
      if (told?.verdict === "deny") throw new Denied(told.message);
      if (told?.verdict === "allow") {
        door.ticket = told.ticket;
        door.until = this.#now() + told.ttl_s * 1000 - MARGIN_MS;
        return told.ticket;
      }
      if (told?.verdict !== "challenge") return null;
      if (told.task === "token") throw new Denied("This stream is for those who were invited: the page has no token.");
      proof = await solve(told.puzzle, told.bits, this.#leaving.signal);
      if (proof === null) return null;
    }
    return null;
  }

  /** Nobody wants an answer any more. */
  close(): void {
    this.#leaving.abort();
  }

  async #ask(endpoint: string, proof: string | null): Promise<Told | null> {
    try {
      const url = new URL("api/v1/admission", endpoint);
      if (proof !== null) url.searchParams.set("proof", proof);
      const response = await fetch(url, { cache: "no-store", signal: AbortSignal.timeout(TIMEOUT_MS) });
      const told: unknown = response.ok ? await response.json() : null;
      return typeof told === "object" ? (told as Told | null) : null;
    } catch {
      return null;
    }
  }

  #door(endpoint: string): Door {
    let door = this.#doors.get(endpoint);
    if (!door) this.#doors.set(endpoint, (door = { required: false, ticket: null, until: 0 }));
    return door;
  }
}
