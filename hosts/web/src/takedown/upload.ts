// A file in pieces, so that a broken connection costs one of them.

import { Refused } from "./api.ts";

/** A piece is tried so many times. */
const TRIES_MAX = 5;
/** The pause before the second try, in milliseconds; it doubles. */
const PAUSE_MS = 500;

/** Sends one piece that begins at this byte, and gives how much the host has then. */
export type Send = (offset: number, piece: Blob) => Promise<{ received: number }>;

/** Sends a file. `told` hears how much has arrived. */
export async function upload(
  file: Blob,
  chunk: number,
  send: Send,
  told: (sent: number) => void,
  pause: (ms: number) => Promise<void> = (ms) => new Promise((done) => setTimeout(done, ms)),
): Promise<void> {
  let offset = 0;
  let tries = 0;
  while (offset < file.size) {
    try {
      offset = (await send(offset, file.slice(offset, offset + chunk))).received;
      tries = 0;
    } catch (error) {
      const received = error instanceof Refused ? error.details["received"] : undefined;
      const lasting = error instanceof Refused && error.status < 500 && error.status !== 429 && typeof received !== "number";
      tries += 1;
      if (lasting || tries >= TRIES_MAX) throw error;
      // The answer to the last piece may have been lost: the host says where it is.
      if (typeof received === "number" && received <= file.size) offset = received;
      await pause(PAUSE_MS * 2 ** (tries - 1));
    }
    told(offset);
  }
}
