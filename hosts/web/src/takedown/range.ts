// A part of a broadcast: within its bounds, and as a recording has it.

import { type Part, partAt } from "../playlist.ts";

/** Seconds of a recording: from, until. */
export interface Span {
  from: number;
  to: number;
}

/** A part as a report names it. */
export interface Range {
  /** Milliseconds since the broadcast began: from, until. */
  times_ms: [from: number, to: number];
  /** The first segment's number, and the one after the last; nothing when the playlist does not say. */
  segments: [first: number, end: number] | null;
}

/** Nothing shorter is picked, in seconds. */
export const SPAN_S_MIN = 0.5;
/** A host takes no longer range, in milliseconds. */
export const RANGE_MS_MAX = 6 * 3_600_000;
/** No time is later: what the form's fields can say, 999 hours, in milliseconds. */
const TIME_MS_MAX = 999 * 3_600_000;
/** What the host takes of segments: the largest number, and how many. */
const SEQ_MAX = 2 ** 32 - 1;
const SEGMENTS_MAX = 200_000;

/** A span within a recording of this length and no longer than `most_s`; the handle that was not moved gives way. */
export function within(span: Span, moved: keyof Span, length_s: number, most_s: number): Span {
  const clamp = (value: number, low: number, high: number): number => Math.min(Math.max(Number.isFinite(value) ? value : low, low), Math.max(low, high));
  const least = Math.min(SPAN_S_MIN, length_s);
  const from = clamp(span.from, 0, length_s - least);
  const to = clamp(span.to, least, length_s);
  if (moved === "from") return { from, to: clamp(to, from + least, Math.min(length_s, from + most_s)) };
  return { from: clamp(from, Math.max(0, to - most_s), to - least), to };
}

/** What an address says of a range, such as the one of "Report this moment"; what no host would take is left out. */
export function readRange(query: URLSearchParams): { times_ms: Range["times_ms"] | null; segments: Range["segments"] } {
  const pair = (first: string, second: string, most: number, apart: number): [number, number] | null => {
    const [from, to] = [first, second].map((name) => (/^\d{1,16}$/.test(query.get(name) ?? "") ? Number(query.get(name)) : NaN)) as [number, number];
    return from < to && to <= most && to - from <= apart ? [from, to] : null;
  };
  return { times_ms: pair("from_ms", "to_ms", TIME_MS_MAX, RANGE_MS_MAX), segments: pair("first_seq", "end_seq", SEQ_MAX, SEGMENTS_MAX) };
}

/** When the broadcast was at this second of its recording, in milliseconds since it began: where something is missing, the two differ. */
export function broadcastMs(parts: readonly Part[], seconds: number): number {
  const part = parts[Math.min(partAt(parts, seconds), parts.length - 1)];
  const began = parts[0]?.date_ms ?? NaN;
  const ms = part ? part.date_ms - began + (seconds - part.start) * 1000 : NaN;
  return Math.max(0, Math.round(Number.isFinite(ms) ? ms : seconds * 1000));
}

/** The other way round: the second of the recording that is nearest to a time of the broadcast. */
export function recordingS(parts: readonly Part[], ms: number): number {
  const began = parts[0]?.date_ms ?? NaN;
  if (!Number.isFinite(began)) return ms / 1000;
  const part = parts.findLast(({ date_ms }) => date_ms - began <= ms) ?? parts[0];
  if (!part) return 0;
  return part.start + Math.min(part.duration, Math.max(0, (ms - (part.date_ms - began)) / 1000));
}

/** A span of a recording as a report names it: rather a segment too many than one too few; nothing when nothing is recorded there. */
export function rangeOf(parts: readonly Part[], { from, to }: Span): Range | null {
  const first = parts[partAt(parts, from)];
  const last = parts[Math.min(partAt(parts, Math.max(from, to - 0.001)), parts.length - 1)];
  if (!first || !last) return null;
  const begins = segmentAt(first, from, Math.floor);
  const ends = segmentAt(last, to, Math.ceil);
  const segments: Range["segments"] = begins !== null && ends !== null && begins < ends ? [begins, ends] : null;
  const [from_ms, to_ms] = [broadcastMs(parts, from), Math.round(broadcastMs(parts, last.start) + (to - last.start) * 1000)];
  return { times_ms: [from_ms, Math.max(to_ms, from_ms + 1)], segments };
}

/** The number of the segment at a second within a part, whose address says which ones it is made of, all equally long. */
function segmentAt(part: Part, seconds: number, round: (number: number) => number): number | null {
  const named = /(\d{1,10})-(\d{1,10})\.m4s(?:\?|$)/.exec(part.url);
  if (!named || part.duration <= 0) return null;
  const [first, end] = [Number(named[1]), Number(named[2])];
  const share = Math.min(1, Math.max(0, (seconds - part.start) / part.duration));
  return Math.min(end, Math.max(first, first + round(share * (end - first))));
}
