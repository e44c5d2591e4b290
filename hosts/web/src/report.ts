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

/** Which part of a broadcast a report is about; what is not known is left out. */
export interface Reported {
  epoch: number | null;
  /** Milliseconds since the broadcast began: from, until. */
  times_ms: [from: number, to: number] | null;
  /** The first segment's number, and the one after the last. */
  segments: [first: number, end: number] | null;
}

/** The form's address on this host, filled in. */
export function formAddress(host: string, { epoch, times_ms, segments }: Reported): string {
  const url = new URL("takedown", host);
  const put = (name: string, value: number): void => url.searchParams.set(name, String(value));
  if (epoch !== null) put("epoch", epoch);
  if (times_ms) {
    put("from_ms", times_ms[0]);
    put("to_ms", times_ms[1]);
  }
  if (segments) {
    put("first_seq", segments[0]);
    put("end_seq", segments[1]);
  }
  return url.href;
}

/** The same for the last seconds up to a moment, and their segments. */
export function reportAddress(host: string, epoch: number | null, moment_s: number, segments: [number, number] | null): string {
  const moment = Math.round(moment_s * 1000);
  return formAddress(host, { epoch, times_ms: moment > 0 ? [Math.max(0, moment - BEFORE_MS), moment] : null, segments });
}
