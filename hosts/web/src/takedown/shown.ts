// Texts of strangers, made harmless for the eye: whoever decides must see what is there, not what it pretends to be.

/** Marks that turn the direction of a line, hide, or are nothing at all. */
const HIDDEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff\ufff9-\ufffb]/g;
/** More of one text is not shown at once. */
const CHARS_MAX = 8_000;

/** The text with all that is hidden or turns it around shown as what it is, such as `⟨U+202E⟩`. */
export function shown(text: unknown): string {
  const whole = typeof text === "string" ? text : text === null || text === undefined ? "" : String(text);
  const cut = whole.length > CHARS_MAX ? `${whole.slice(0, CHARS_MAX)} … (${whole.length} characters)` : whole;
  return cut.replace(HIDDEN, (mark) => `⟨U+${mark.charCodeAt(0).toString(16).toUpperCase().padStart(4, "0")}⟩`);
}
