// After the end of a broadcast: what its host has recorded of it.

import { fetchRecordings, type Recording } from "./recordings.ts";

/** An archive needs a moment to finish a recording; all viewers hear of the end at once, and ask within this, in milliseconds. */
const FIRST_MS = 2_000;
/** A recording that is not finished is asked for again after this long, so many times in all. */
const AGAIN_MS = 3_000;
export const TRIES_MAX = 8;

/** The finished recording of a broadcast; nothing when there is none after so many tries. */
export async function recordingOf(host: string, epoch: number, tries: number, signal: AbortSignal): Promise<Recording | null> {
  for (let tried = 0; tried < tries; tried += 1) {
    if (tries > 1) await pause(tried === 0 ? Math.random() * FIRST_MS : AGAIN_MS);
    if (signal.aborted) return null;
    const found = (await fetchRecordings(host)).find(({ starts_ms, live }) => starts_ms === epoch && !live);
    if (found?.seconds) return signal.aborted ? null : found;
  }
  return null;
}

const pause = (ms: number): Promise<void> => new Promise((done) => setTimeout(done, ms));
