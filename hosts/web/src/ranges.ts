// What a node is told about the media element.

/** How the media element stands, in seconds on the media's timeline. */
export interface PlayerReport {
  /** The play head. */
  position: number;
  /** Where the range around or just before the play head begins; the first range when the head is before all of them. */
  start: number;
  /** Where that range ends. */
  end: number;
  /** Where the next range begins. */
  next: number | null;
  /** Where that one ends. */
  nextEnd: number | null;
  /** Where the last range ends. */
  latest: number;
  /** How much is buffered ahead of the play head; holes are not counted. */
  ahead: number;
  /** The user has paused it, or the browser does not let it play. */
  paused: boolean;
  /** Data for the position is there and the element is not seeking. */
  ready: boolean;
}

/** A head this little before a range counts as inside, in seconds. */
const EDGE_S = 0.001;

/** What ranges say about a position. */
export type Around = Pick<PlayerReport, "start" | "end" | "next" | "nextEnd" | "latest" | "ahead">;

/** Finds the range that matters at a position. */
export function rangeAt(ranges: TimeRanges, position: number): Around {
  const last = ranges.length - 1;
  if (last < 0) return { start: position, end: position, next: null, nextEnd: null, latest: position, ahead: 0 };
  let index = 0;
  while (index < last && ranges.start(index + 1) <= position + EDGE_S) index += 1;
  let ahead = 0;
  for (let at = index; at <= last; at += 1) ahead += Math.max(0, ranges.end(at) - Math.max(position, ranges.start(at)));
  const [next, nextEnd] = index < last ? [ranges.start(index + 1), ranges.end(index + 1)] : [null, null];
  return { start: ranges.start(index), end: ranges.end(index), next, nextEnd, latest: ranges.end(last), ahead };
}
