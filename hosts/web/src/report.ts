// "Report this moment": the address of the form for complaints, with what the player knows about what was just seen.

/** So much before the moment is reported with it, in milliseconds. */
const BEFORE_MS = 15_000;
/** Segments come before they are seen; those of this long are noted, in milliseconds. */
const SEEN_MS = 25_000;
/** Segments that are remembered, at most. */
export const RECENT_MAX = 256;

/** Remembers up to which segment all had come, lately. */
export class Recent {
  #segments: { seq: number; at: number }[] = [];

  /** All up to this one have come by now. */
  note(seq: number, now: number): void {
    this.#segments.push({ seq, at: now });
    const first = this.#segments.findIndex(({ at }) => at >= now - SEEN_MS);
    this.#segments.splice(0, Math.max(first, this.#segments.length - RECENT_MAX));
  }

  /** The first one's number, and the number after the last one's; nothing when none came. */
  range(): [first: number, end: number] | null {
    const numbers = this.#segments.map(({ seq }) => seq);
    return numbers.length === 0 ? null : [Math.min(...numbers), Math.max(...numbers) + 1];
  }

  /** Another broadcast has begun. */
  clear(): void {
    this.#segments = [];
  }
}

/** The form's address on this host, filled in: the broadcast, the last seconds up to the moment, and their segments. */
export function reportAddress(host: string, epoch: number | null, moment_s: number, segments: [number, number] | null): string {
  const url = new URL("takedown", host);
  const moment = Math.round(moment_s * 1000);
  if (epoch !== null) url.searchParams.set("epoch", String(epoch));
  if (moment > 0) {
    url.searchParams.set("from_ms", String(Math.max(0, moment - BEFORE_MS)));
    url.searchParams.set("to_ms", String(moment));
  }
  if (segments) {
    url.searchParams.set("first_seq", String(segments[0]));
    url.searchParams.set("end_seq", String(segments[1]));
  }
  return url.href;
}
