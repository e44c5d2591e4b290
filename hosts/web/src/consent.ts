// What the viewer has said about relaying, for all pages of this origin.

const KEY = "peerstream.relay";

/** Said once; nothing was said yet. */
export type Choice = "on" | "off" | null;

let kept: Choice = null;

/** What the viewer has chosen. */
export function choice(): Choice {
  try {
    const stored = localStorage.getItem(KEY);
    return stored === "on" || stored === "off" ? stored : kept;
  } catch {
    // Storage may be forbidden; then the choice lives as long as the page.
    return kept;
  }
}

/** Remembers the viewer's choice. */
export function choose(on: boolean): void {
  kept = on ? "on" : "off";
  try {
    localStorage.setItem(KEY, kept);
  } catch {
    // See above.
  }
}
