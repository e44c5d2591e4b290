// Whether the user lets pages of this origin relay; on until switched off.

const KEY = "peerstream.relay";

let denied = false;

/** Whether relaying is allowed. */
export function consent(): boolean {
  try {
    return localStorage.getItem(KEY) !== "off";
  } catch {
    // Storage may be forbidden; then the choice lives as long as the page.
    return !denied;
  }
}

/** Remembers the user's choice. */
export function setConsent(on: boolean): void {
  denied = !on;
  try {
    if (on) localStorage.removeItem(KEY);
    else localStorage.setItem(KEY, "off");
  } catch {
    // See above.
  }
}
