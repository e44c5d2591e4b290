// The work that a page does before it may send a complaint in.

import { solve } from "../work.ts";
import { ask } from "./api.ts";

/** Asks for a puzzle and solves it. */
export async function proof(signal: AbortSignal): Promise<string> {
  const { puzzle, bits } = await ask<{ puzzle: string; bits: number }>("POST", "challenge");
  const answer = await solve(puzzle, bits, signal);
  if (answer === null) throw new Error("This browser cannot do the work that the host asks for.");
  return answer;
}
