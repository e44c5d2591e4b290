// The bar over the picture: playing, sound, the live edge, captions, Picture-in-Picture, full screen.

import { drawing, make, write } from "./dom.ts";
import type { Action } from "./keys.ts";
import { type Position, Scrubber } from "./scrubber.ts";
import { ago, span } from "./words.ts";

/** How much one key changes the volume. */
const STEP = 0.05;

const PLAY = "M8 5v14l11-7z";
const PAUSE = "M6 5h4v14H6zM14 5h4v14h-4z";
const SOUND = "M3 9v6h4l5 5V4L7 9zm11.5-1.5a6 6 0 0 1 0 9zm0-4a9 9 0 0 1 0 17v-2.2a7 7 0 0 0 0-12.6z";
const MUTE = "M3 9v6h4l5 5V4L7 9zm18.5.9-1.4-1.4L18 10.6l-2.1-2.1-1.4 1.4 2.1 2.1-2.1 2.1 1.4 1.4 2.1-2.1 2.1 2.1 1.4-1.4-2.1-2.1z";
const CAPTIONS = "M4 4h16a2 2 0 0 1 2 2v12a2 2 0 0 1-2 2H4a2 2 0 0 1-2-2V6c0-1.1.9-2 2-2zm2 8v2h5v-2zm7 0v2h5v-2zm-7 4v2h8v-2z";
const PICTURE = "M3 4h18a1 1 0 0 1 1 1v6h-2V6H4v12h6v2H3a1 1 0 0 1-1-1V5a1 1 0 0 1 1-1zm9 9h10v7H12z";
const FULL = "M4 4h6v2H6v4H4zm10 0h6v6h-2V6h-4zM4 14h2v4h4v2H4zm14 0h2v6h-6v-2h4z";
const BACK = "M8 4h2v6H4V8h4zm6 0h2v4h4v2h-6zM4 14h6v6H8v-4H4zm10 0h6v2h-4v4h-2z";

/** What the bar shows. */
export interface Shown {
  paused: boolean;
  muted: boolean;
  /** From 0 to 1. */
  volume: number;
  /** Behind the source, in milliseconds; 0 when that is not known. */
  lag_ms: number;
  /** Further behind than the player wants to be. */
  behind: boolean;
  /** Where in the last minutes the viewer is. */
  position: Position;
  full: boolean;
  /** Whether there are captions, and whether they are shown. */
  captions: "none" | "off" | "on";
  /** Whether there are pictures. */
  pictures: boolean;
}

/** The bar. `act` is told what is pressed, `loud` how loud it is to be. */
export class Controls {
  readonly element: HTMLElement;
  readonly #play = button("play", "Play", PLAY, "k");
  readonly #mute = button("mute", "Mute", SOUND, "m");
  readonly #volume = make("input", { type: "range", min: "0", max: "1", step: "0.01", class: "volume", "aria-label": "Volume" });
  readonly #live = make("button", { type: "button", class: "live", part: "live", "aria-keyshortcuts": "l" });
  readonly #captions = button("captions", "Captions", CAPTIONS, "c");
  readonly #picture = button("picture", "Picture-in-Picture", PICTURE, "i");
  readonly #full = button("full", "Full screen", FULL, "f");

  readonly #scrubber: Scrubber;

  constructor(act: (action: Action) => void, loud: (volume: number) => void, to: (behind_s: number) => void) {
    this.#scrubber = new Scrubber(() => act("back"), to);
    const orders: [HTMLElement, Action][] = [
      [this.#play, "play"],
      [this.#mute, "mute"],
      [this.#live, "live"],
      [this.#captions, "captions"],
      [this.#picture, "picture"],
      [this.#full, "fullscreen"],
    ];
    for (const [element, action] of orders) element.addEventListener("click", () => act(action));
    this.#volume.addEventListener("input", () => loud(Number(this.#volume.value)));
    this.#live.append(make("span", { class: "dot" }), make("span", { class: "word" }));
    const gap = make("span", { class: "gap" });
    const { slider, button: back } = this.#scrubber;
    const parts = [slider, this.#play, back, this.#mute, this.#volume, this.#live, gap, this.#captions, this.#picture, this.#full];
    this.element = make("div", { class: "controls", part: "controls", role: "group", "aria-label": "Player controls" }, ...parts);
  }

  /** Shows how things stand. */
  render(shown: Shown): void {
    redraw(this.#play, shown.paused ? "Play" : "Pause", shown.paused ? PLAY : PAUSE);
    redraw(this.#mute, shown.muted ? "Unmute" : "Mute", shown.muted ? MUTE : SOUND);
    redraw(this.#full, shown.full ? "Leave full screen" : "Full screen", shown.full ? BACK : FULL);
    const volume = String(shown.muted ? 0 : shown.volume);
    if (this.#volume.value !== volume) this.#volume.value = volume;
    this.#volume.setAttribute("aria-valuetext", `${Math.round(Number(volume) * 100)} %`);
    this.#scrubber.render(shown.position);
    this.#badge(shown);
    this.#captions.hidden = shown.captions === "none";
    this.#captions.setAttribute("aria-pressed", String(shown.captions === "on"));
    this.#picture.hidden = !shown.pictures || !document.pictureInPictureEnabled;
    this.#full.hidden = !shown.pictures || !canFill();
  }

  #badge({ paused, behind, position, lag_ms }: Shown): void {
    const away = paused || behind;
    const lag = lag_ms > 0 ? span(lag_ms) : "";
    this.#live.toggleAttribute("data-away", away);
    const word = this.#live.querySelector(".word");
    if (word) write(word, away ? "Back to live" : lag ? `Live · ${lag}` : "Live");
    const label = away ? (position.behind_s > 0 ? `Back to live, now ${ago(position.behind_s)}` : "Back to live") : lag ? `Live, ${lag} behind the source` : "Live";
    if (this.#live.getAttribute("aria-label") !== label) this.#live.setAttribute("aria-label", label);
  }
}

/** Whether this browser shows anything in full screen. */
export function canFill(): boolean {
  return document.fullscreenEnabled || "webkitEnterFullscreen" in HTMLVideoElement.prototype;
}

/** The volume one key further up or down. */
export function louder(volume: number, up: boolean): number {
  return Math.round(Math.min(1, Math.max(0, volume + (up ? STEP : -STEP))) * 100) / 100;
}

function button(name: string, label: string, path: string, key: string): HTMLButtonElement {
  const attributes = { type: "button", class: `icon ${name}`, "aria-label": label, title: `${label} (${key})` };
  return make("button", { ...attributes, "aria-keyshortcuts": key, "data-key": key }, drawing(path));
}

function redraw(button: HTMLButtonElement, label: string, path: string): void {
  if (button.getAttribute("aria-label") === label) return;
  button.setAttribute("aria-label", label);
  button.title = `${label} (${button.dataset["key"]})`;
  button.querySelector("path")?.setAttribute("d", path);
}
