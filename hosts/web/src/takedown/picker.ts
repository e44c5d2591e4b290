// Picks a part of a recording: two handles on one track, "From here", "To here", and what is picked can be played.

import { make, write } from "../dom.ts";
import { type Span, within } from "./range.ts";
import { spoken, writeTime } from "./times.ts";

/** So much is picked with the first press of a button, in seconds. */
const FIRST_S = 10;
/** What keys move a handle by, in seconds: alone, with the shift key, and the page keys. */
const STEP_S = 1;
const FINE_S = 0.1;
const PAGE_S = 10;

const HANDLES = { from: "Beginning of the part", to: "End of the part" } as const;
type Handle = keyof typeof HANDLES;

/** The picker of one media element. */
export class Picker {
  readonly element: HTMLElement;
  readonly #video: HTMLVideoElement;
  readonly #told: (span: Span) => void;
  readonly #most_s: number;
  readonly #handles: Record<Handle, HTMLInputElement>;
  readonly #track: HTMLElement;
  readonly #says = make("p", { class: "picked" }, "Nothing is picked yet.");
  readonly #play = make("button", { type: "button", disabled: true }, "Play this part");
  #span: Span | null = null;
  /** The part is being played up to its end. */
  #playing = false;

  /** `told` hears each change; no part is longer than `most_s` seconds. */
  constructor(video: HTMLVideoElement, most_s: number, told: (span: Span) => void) {
    [this.#video, this.#most_s, this.#told] = [video, most_s, told];
    this.#handles = { from: this.#handle("from"), to: this.#handle("to") };
    const marks = [make("span", { class: "band" }), make("span", { class: "head" })];
    this.#track = make("div", { class: "track" }, ...marks, this.#handles.from, this.#handles.to);
    const buttons = make("div", { class: "buttons" }, this.#button("From here", "from"), this.#button("To here", "to"), this.#play);
    this.element = make("div", { class: "picker", role: "group", "aria-label": "Part of the recording" }, this.#track, this.#says, buttons);
    this.#play.addEventListener("click", () => void this.#playPart());
    video.addEventListener("durationchange", () => this.#render());
    video.addEventListener("timeupdate", () => this.#onHead());
    for (const name of ["pause", "seeking"]) video.addEventListener(name, () => (this.#playing &&= this.#isInside()));
    this.#render();
  }

  /** What is picked; nothing before the reader has done so. */
  get span(): Span | null {
    return this.#span;
  }

  /** Shows this part as the one that is picked; nobody is told. */
  set(span: Span): void {
    this.#span = this.#length() > 0 ? within(span, "from", this.#length(), this.#most_s) : span;
    this.#render();
  }

  #length(): number {
    return Number.isFinite(this.#video.duration) ? this.#video.duration : 0;
  }

  #handle(name: Handle): HTMLInputElement {
    const input = make("input", { type: "range", class: name, min: "0", max: "0", step: String(FINE_S), "aria-label": HANDLES[name] });
    const other = (): number => Number(this.#handles[name === "from" ? "to" : "from"].value);
    input.addEventListener("input", () => this.#move(name, Number(input.value), other()));
    input.addEventListener("keydown", (event) => {
      const by = stepOf(event);
      if (by === null) return;
      event.preventDefault();
      this.#move(name, Number(input.value) + by, other());
    });
    return input;
  }

  /** "From here" behind the end, or "To here" before the beginning, begins another part. */
  #button(text: string, name: Handle): HTMLButtonElement {
    const button = make("button", { type: "button" }, text);
    button.addEventListener("click", () => {
      const here = this.#video.currentTime;
      const { from, to } = this.#span ?? { from: here, to: here };
      if (name === "from") this.#move(name, here, to > here ? to : here + FIRST_S);
      else this.#move(name, here, from < here ? from : here - FIRST_S);
    });
    return button;
  }

  #move(name: Handle, seconds: number, other: number): void {
    if (this.#length() <= 0) return;
    const wanted = name === "from" ? { from: seconds, to: other } : { from: other, to: seconds };
    this.#span = within(wanted, name, this.#length(), this.#most_s);
    this.#playing = false;
    this.#render();
    this.#told(this.#span);
  }

  async #playPart(): Promise<void> {
    if (!this.#span) return;
    this.#video.currentTime = this.#span.from;
    this.#playing = true;
    await this.#video.play().catch(() => (this.#playing = false));
  }

  #isInside(): boolean {
    const { currentTime } = this.#video;
    return this.#span !== null && currentTime >= this.#span.from - FINE_S && currentTime < this.#span.to;
  }

  #onHead(): void {
    if (this.#playing && this.#span && this.#video.currentTime >= this.#span.to) {
      this.#playing = false;
      this.#video.pause();
    }
    this.#place("--head", this.#video.currentTime);
  }

  #render(): void {
    const length = this.#length();
    const { from, to } = this.#span ?? { from: 0, to: length };
    for (const [name, seconds] of [["from", from], ["to", to]] as const) {
      const input = this.#handles[name];
      input.max = String(length);
      input.disabled = length <= 0;
      input.value = String(seconds);
      input.setAttribute("aria-valuetext", spoken(seconds * 1000));
      this.#place(`--${name}`, seconds);
    }
    this.#track.toggleAttribute("data-picked", this.#span !== null);
    // Where the handles lie on each other, the one that has room to go is on top.
    this.#track.toggleAttribute("data-late", from > length / 2);
    this.#play.disabled = this.#span === null;
    if (this.#span) write(this.#says, `From ${writeTime(from * 1000)} until ${writeTime(to * 1000)} of the recording, ${spoken((to - from) * 1000)}.`);
  }

  /** Where something is on the track, as a share of it. */
  #place(name: string, seconds: number): void {
    const share = this.#length() > 0 ? Math.min(1, Math.max(0, seconds / this.#length())) : 0;
    this.#track.style.setProperty(name, String(share));
  }
}

/** How far a key moves a handle, in seconds; nothing when it is another key, or when the browser knows what to do. */
export function stepOf({ key, shiftKey, ctrlKey, altKey, metaKey }: Pick<KeyboardEvent, "key" | "shiftKey" | "ctrlKey" | "altKey" | "metaKey">): number | null {
  if (ctrlKey || altKey || metaKey) return null;
  const step = shiftKey ? FINE_S : STEP_S;
  const steps: Record<string, number> = {
    ArrowRight: step,
    ArrowUp: step,
    ArrowLeft: -step,
    ArrowDown: -step,
    PageUp: PAGE_S,
    PageDown: -PAGE_S,
  };
  return steps[key] ?? null;
}
