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
  /** The user has paused it, or the browser does not let it play. */
  paused: boolean;
  /** Data for the position is there and the element is not seeking. */
  ready: boolean;
}

/** A head this little before a range counts as inside, in seconds. */
const EDGE_S = 0.001;

/** Finds the range that matters at a position. */
export function rangeAt(ranges: TimeRanges, position: number): Pick<PlayerReport, "start" | "end" | "next"> {
  if (ranges.length === 0) return { start: position, end: position, next: null };
  let index = 0;
  while (index + 1 < ranges.length && ranges.start(index + 1) <= position + EDGE_S) index += 1;
  const next = index + 1 < ranges.length ? ranges.start(index + 1) : null;
  return { start: ranges.start(index), end: ranges.end(index), next };
}
