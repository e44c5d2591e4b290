// All that a page says in words, and how it writes numbers.

import type { StateName } from "./status.ts";
import type { Reason } from "./thrift.ts";

/** What each state is called. */
export const STATES: Record<StateName, string> = {
  connecting: "Connecting",
  waiting: "Waiting for the stream",
  starting: "Loading the stream",
  live: "Live",
  ended: "The broadcast has ended",
  recording: "Recording",
  refused: "Not admitted",
  unsupported: "Cannot be played here",
  failed: "Playback has stopped",
};

const REFUSALS: Record<string, string> = {
  "wire-version": "This page and the host do not match any more. Reload the page.",
  "unknown-stream": "The host does not carry this stream.",
  full: "The stream has as many viewers as it can hold.",
  "too-many-joins": "Too many viewers are joining from your network. Wait a minute.",
  misbehaved: "The host has cut this page off.",
  "taken-for-dead": "The host lost sight of this page.",
  "no-lower-rendition": "Your connection is too slow for this stream.",
};

/** Why a coordinator turned the page away. */
export function refusal(reason: string): string {
  return REFUSALS[reason] ?? `The host says: ${reason}`;
}

/** What is said when the host offers a stream of another publisher. */
export const WRONG_PUBLISHER = "The host offers a stream of somebody else than this page expects.";
/** What is said about a stream without pictures or sound. */
export const NOT_MEDIA = "This stream carries data, not pictures or sound.";
/** The notice under the player. */
export const RELAYS = "While you watch, this page passes the stream on to other viewers.";

const RESTS: Record<Reason, string> = {
  off: "This page does not pass the stream on to other viewers.",
  metered: "This page does not pass the stream on: the connection is metered or is to save data.",
  hidden: "This page does not pass the stream on while it is hidden.",
  battery: "This page does not pass the stream on while the battery is low.",
  cap: "This page does not pass the stream on: the stream is larger than what it may upload.",
  linkless: "This page has no connections to other viewers, and passes nothing on.",
};

/** What is said about relaying: the page's own text while it relays, or why it does not. */
export function notice(resting: Reason | null, own: string | null): string {
  return resting === null ? own || RELAYS : RESTS[resting];
}

const CODECS: [RegExp, string][] = [
  [/^avc[13]/, "H.264"],
  [/^(hvc1|hev1)/, "HEVC (H.265)"],
  [/^av01/, "AV1"],
  [/^vp0?9/, "VP9"],
  [/^vp0?8/, "VP8"],
  [/^mp4a\.(69|6b)/i, "MP3"],
  [/^mp4a/, "AAC"],
  [/^opus/i, "Opus"],
  [/^flac/i, "FLAC"],
];

/** Names the codecs of a type that `supported` does not accept; all of them when it accepts each alone. */
export function unsupportedCodecs(mime: string, supported: (mime: string) => boolean): string {
  const [container = mime] = mime.split(";");
  const codecs = /codecs="?([^"]*)"?/.exec(mime)?.[1]?.split(",").map((codec) => codec.trim()) ?? [];
  const refused = codecs.filter((codec) => !supported(`${container}; codecs="${codec}"`));
  const names = (refused.length > 0 ? refused : codecs).map(codecName);
  return names.length > 0 ? names.join(" and ") : container;
}

function codecName(codec: string): string {
  const name = CODECS.find(([pattern]) => pattern.test(codec))?.[1];
  return name ? `${name} (${codec})`.replace(/\) \(/, ", ") : codec;
}

const UNITS = ["B", "kB", "MB", "GB", "TB"];

/** A number of bytes as people read it. */
export function bytes(count: number): string {
  let [value, unit] = [count, 0];
  while (value >= 999.5 && unit < UNITS.length - 1) [value, unit] = [value / 1000, unit + 1];
  return `${value >= 99.5 || unit === 0 ? Math.round(value) : value.toFixed(1)} ${UNITS[unit]}`;
}

/** A span of milliseconds as people read it. */
export function span(ms: number): string {
  const seconds = ms / 1000;
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${Math.floor(seconds % 60)} s`;
  return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
}

/** How far behind the live edge, as people read it; the edge itself is called live. */
export function ago(seconds: number): string {
  const whole = Math.round(seconds);
  if (whole < 1) return "Live";
  return whole < 60 ? `${whole} s behind live` : `${span(whole * 1000)} behind live`;
}

/** Names of nodes in a sentence; the source is not called by a number. */
export function names(nodes: readonly string[]): string {
  return nodes.map((node) => (node === "source" ? "the source" : node)).join(", ") || "nobody";
}
