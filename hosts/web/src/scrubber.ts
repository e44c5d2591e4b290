// The slider over the bar and the button that goes back: where in the last minutes the viewer is.

import { drawing, make } from "./dom.ts";
import { ago } from "./words.ts";

const BACK = "M12 5V1L6 6l6 5V7a6 6 0 1 1-6 6H4a8 8 0 1 0 8-8z";

/** How many seconds one press goes back or forth. */
export const STEP_S = 10;

/** What the slider shows. */
export interface Position {
  /** How far back one may go, in seconds; 0 for not at all. */
  window_s: number;
  /** Where the viewer is, or is on the way to, in seconds behind the live edge; 0 at the edge. */
  behind_s: number;
}

/** The slider and the button. `back` is told that the button was pressed, `to` where the slider was moved, in seconds behind the edge. */
export class Scrubber {
  readonly slider = make("input", { type: "range", class: "scrubber", part: "scrubber", step: "1", "aria-label": "Position", hidden: true });
  readonly button: HTMLButtonElement;
  #held = false;

  constructor(back: () => void, to: (behind_s: number) => void) {
    const label = `Back ${STEP_S} seconds`;
    const attributes = { type: "button", class: "icon back", "aria-label": label, title: `${label} (left arrow)` };
    this.button = make("button", { ...attributes, "aria-keyshortcuts": "ArrowLeft", hidden: true }, drawing(BACK));
    this.button.addEventListener("click", back);
    this.slider.max = "0";
    this.slider.addEventListener("input", () => {
      this.#held = true;
      this.#say(-Number(this.slider.value));
      to(-Number(this.slider.value));
    });
    this.slider.addEventListener("change", () => (this.#held = false));
  }

  /** Shows where the viewer is. A slider that is being moved stays where the hand is. */
  render({ window_s, behind_s }: Position): void {
    this.slider.hidden = this.button.hidden = window_s <= 0;
    if (this.slider.min !== String(-Math.round(window_s))) this.slider.min = String(-Math.round(window_s));
    if (this.#held) return;
    const value = String(-Math.round(Math.min(behind_s, window_s)));
    if (this.slider.value !== value) this.slider.value = value;
    this.#say(behind_s);
  }

  #say(behind_s: number): void {
    const text = ago(behind_s);
    if (this.slider.getAttribute("aria-valuetext") !== text) this.slider.setAttribute("aria-valuetext", text);
  }
}
