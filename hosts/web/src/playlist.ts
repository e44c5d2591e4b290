// Reads the playlists that a host makes of recordings: fragmented MP4, in parts.

/** One part of a recording. */
export interface Part {
  /** Its address. */
  url: string;
  /** Its codec header's address; empty when there is none. */
  init: string;
  /** Where it begins in the recording, in seconds. */
  start: number;
  /** How long it lasts, in seconds. */
  duration: number;
  /** It does not go on where the part before it ended. */
  discontinuity: boolean;
  /** When it was broadcast, milliseconds since 1970; NaN when that is not said. */
  date_ms: number;
}

/** A recording as its playlist says. */
export interface Playlist {
  parts: Part[];
  /** Nothing follows. */
  ended: boolean;
}

/** Parts beyond this are not read: two weeks of them. */
const PARTS_MAX = 300_000;

/** Reads a playlist whose addresses are relative to `base`; throws when it is none. */
export function readPlaylist(text: string, base: string): Playlist {
  const lines = text.split(/\r?\n/).map((line) => line.trim());
  if (lines[0] !== "#EXTM3U") throw new Error("not a playlist");
  const parts: Part[] = [];
  let [init, discontinuity, duration, date_ms, start] = ["", false, 0, NaN, 0];
  for (const line of lines) {
    if (line.startsWith("#EXTINF:")) duration = Number.parseFloat(line.slice(8)) || 0;
    else if (line === "#EXT-X-DISCONTINUITY") discontinuity = true;
    else if (line.startsWith("#EXT-X-PROGRAM-DATE-TIME:")) date_ms = Date.parse(line.slice(25));
    else if (line.startsWith("#EXT-X-MAP:")) init = new URL(/URI="([^"]*)"/.exec(line)?.[1] ?? "", base).href;
    else if (line !== "" && !line.startsWith("#") && parts.length < PARTS_MAX) {
      parts.push({ url: new URL(line, base).href, init, start, duration, discontinuity, date_ms });
      start += duration;
      [discontinuity, duration, date_ms] = [false, 0, NaN];
    }
  }
  return { parts, ended: lines.includes("#EXT-X-ENDLIST") };
}

/** The part at a position, in seconds: its number; as many as there are when it is behind all of them. */
export function partAt(parts: readonly Part[], seconds: number): number {
  let [low, high] = [0, parts.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    const part = parts[middle] as Part;
    if (part.start + part.duration <= seconds) low = middle + 1;
    else high = middle;
  }
  return low;
}
