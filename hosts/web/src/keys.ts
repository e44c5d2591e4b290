// Which key does what.

/** What a viewer can order. */
export type Action = "play" | "mute" | "fullscreen" | "picture" | "louder" | "quieter" | "live" | "captions" | "back" | "forth";

const KEYS: Record<string, Action> = {
  " ": "play",
  k: "play",
  m: "mute",
  f: "fullscreen",
  i: "picture",
  l: "live",
  c: "captions",
  ArrowLeft: "back",
  ArrowRight: "forth",
  ArrowUp: "louder",
  ArrowDown: "quieter",
};

/** What a key is about, as far as an action depends on it. */
export interface Pressed {
  key: string;
  ctrlKey: boolean;
  altKey: boolean;
  metaKey: boolean;
  defaultPrevented: boolean;
}

/** What has the focus. */
export type Focus = "button" | "range" | "switch" | "other";

/** What a key orders while this has the focus; nothing when it belongs to the browser or to what has the focus. */
export function actionOf(pressed: Pressed, focus: Focus): Action | null {
  if (pressed.ctrlKey || pressed.altKey || pressed.metaKey || pressed.defaultPrevented) return null;
  const action = KEYS[pressed.key.length === 1 ? pressed.key.toLowerCase() : pressed.key] ?? null;
  // Space presses the button that has the focus, arrows move the slider that has it.
  if (pressed.key === " " && focus !== "other") return null;
  if (pressed.key.startsWith("Arrow") && focus === "range") return null;
  return action;
}
