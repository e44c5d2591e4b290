// What a host's playlist of a recording says, read by the tests' own eyes.

/** Its parts: where each begins in the recording and how long it lasts, in seconds, when it was broadcast, and whether it does not go on where the one before it ended. */
export function partsOf(playlist) {
  const parts = [];
  let [start, date, breaks] = [0, NaN, false];
  for (const line of playlist.split("\n")) {
    const [, tag, value] = /^#(EXT-X-PROGRAM-DATE-TIME|EXTINF|EXT-X-DISCONTINUITY$):?(.*)/.exec(line) ?? [];
    if (tag === "EXT-X-DISCONTINUITY") breaks = true;
    if (tag === "EXT-X-PROGRAM-DATE-TIME") date = Date.parse(value);
    if (tag === "EXTINF") {
      const length = Number.parseFloat(value);
      parts.push({ start, length, date, breaks });
      [start, date, breaks] = [start + length, NaN, false];
    }
  }
  return parts;
}

/** Seconds of all parts together. */
export const lengthOf = (parts) => parts.reduce((sum, { length }) => sum + length, 0);
