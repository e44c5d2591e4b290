// What the element shows: the picture with its controls, and below it who feeds whom.

import { Controls, type Shown } from "./controls.ts";
import { dress, make, write } from "./dom.ts";
import { type Action, actionOf, type Focus } from "./keys.ts";
import style from "./panel.css";
import type { ElementStatus } from "./status.ts";
import { ago, bytes, names, notice, span, STATES } from "./words.ts";

/** Why the user's hand is needed. */
export type Hand = "unmute" | "play" | null;

const HANDS: Record<"unmute" | "play", string> = { unmute: "Turn the sound on", play: "Play" };

/** What else there is to watch: the recording of what has ended, or a broadcast that has begun meanwhile. */
export type Next = "again" | "live" | null;

const NEXT: Record<"again" | "live", string> = { again: "Watch again", live: "Watch live" };

/** What is said about relaying, and where more is to be read. */
export interface Notice {
  text: string | null;
  link: string | null;
  /** The viewer is asked before anything is relayed, and has not answered. */
  asks: boolean;
  /** Nothing is said. */
  silent: boolean;
}

/** Who is told of what. */
export interface PanelEvents {
  /** The switch, or the answer to the question. */
  relay(on: boolean): void;
  /** The button over the picture. */
  hand(): void;
  /** "Watch again" or "Watch live". */
  next(): void;
  /** "Report this moment". */
  report(): void;
  act(action: Action): void;
  loud(volume: number): void;
  /** Where the slider was moved, in seconds behind the live edge. */
  moveTo(behind_s: number): void;
}

const ROWS = ["Fed by", "Feeding", "Backup", "Received", "Relayed"] as const;
type Row = (typeof ROWS)[number];

/** The shadow tree of one element. */
export class Panel {
  /** The media element; it is there from the start. */
  readonly video = make("video", { part: "video", playsinline: true });
  /** Where sound without pictures is drawn. */
  readonly tones = make("canvas", { class: "tones", "aria-hidden": "true", hidden: true });
  /** What is shown in full screen. */
  readonly screen: HTMLElement;
  readonly #root: ShadowRoot;
  readonly #controls: Controls;
  readonly #title = make("p", { class: "title", part: "title", hidden: true });
  readonly #cover = make("div", { class: "cover", part: "cover" });
  readonly #hand = make("button", { class: "hand", part: "hand", type: "button", hidden: true });
  readonly #next = make("button", { class: "next", part: "next", type: "button", hidden: true });
  readonly #said = make("p", { class: "said", role: "status" });
  readonly #word = make("span", { class: "word" });
  readonly #lag = make("span", { class: "lag" });
  readonly #switch = make("input", { type: "checkbox", role: "switch" });
  readonly #rows = new Map<Row, HTMLElement>();
  readonly #question = make("div", { class: "question", part: "question", role: "group", "aria-label": "Relaying", hidden: true });
  readonly #notice = make("p", { class: "notice", part: "notice" });
  readonly #link = make("a", { rel: "noopener", hidden: true }, "More about this");
  readonly #report = make("button", { type: "button", class: "report", part: "report", hidden: true }, "Report this moment");

  /** Fills the shadow root. */
  constructor(root: ShadowRoot, events: PanelEvents) {
    this.#root = root;
    this.#controls = new Controls(events.act, events.loud, events.moveTo);
    this.#cover.append(make("span", { class: "pulse" }), make("strong"), make("span", { class: "detail" }));
    const over = [this.#title, this.#cover, this.#hand, this.#next, this.#controls.element, this.#said];
    this.screen = make("div", { class: "screen", part: "screen", tabindex: "0", role: "group", "aria-label": "Player" });
    this.screen.append(this.video, this.tones, ...over);
    dress(root, style);
    root.append(make("div", { class: "player" }, this.screen, this.#about()));
    this.#switch.addEventListener("change", () => events.relay(this.#switch.checked));
    this.#hand.addEventListener("click", () => events.hand());
    this.#next.addEventListener("click", () => events.next());
    this.#report.addEventListener("click", () => events.report());
    this.screen.addEventListener("keydown", (event) => this.#pressed(event, events));
    // The browser's own controls, which a recording has, know what to do.
    this.video.addEventListener("click", () => this.video.controls || events.act("play"));
    this.video.addEventListener("dblclick", () => this.video.controls || events.act("fullscreen"));
    this.#ask(events);
  }

  /** Shows a status. */
  render(status: ElementStatus, shown: Shown, relay: boolean, notices: Notice): void {
    const { figures, state } = status;
    this.#root.host.setAttribute("data-state", state);
    const [, strong, detail] = this.#cover.children;
    const past = state === "live" && status.behind_ms !== null;
    write(this.#word, past ? ago((status.behind_ms ?? 0) / 1000) : STATES[state]);
    if (strong) write(strong, STATES[state]);
    if (detail) write(detail, status.detail ?? "");
    this.#cover.hidden = state === "live" || state === "recording";
    // Before there is anything to control, controls only promise what they cannot do.
    this.#controls.element.hidden = state !== "live";
    this.screen.toggleAttribute("data-paused", shown.paused);
    this.#controls.render(shown);
    write(this.#title, status.title);
    this.#title.hidden = status.title === "" || state !== "live";
    this.video.controls = state === "recording";
    this.tones.hidden = shown.pictures;
    write(this.#lag, state === "live" && status.lag_ms > 0 ? `${span(status.lag_ms)} behind the source` : "");
    this.#row("Fed by", status.fallback ? "the host, over HTTP" : names(status.feeders));
    this.#row("Feeding", names(status.fed));
    this.#row("Backup", status.backup ? names([status.backup]) : "none");
    this.#row("Received", bytes(figures.payload_received));
    this.#row("Relayed", relayed(figures.payload_sent, figures.payload_received));
    this.#switch.checked = relay;
    this.#renderNotice(status, notices);
  }

  /** Asks for the user's hand, or does not any more. */
  ask(hand: Hand): void {
    this.#hand.hidden = hand === null;
    if (hand) write(this.#hand, HANDS[hand]);
  }

  /** Offers something else to watch, or nothing. */
  offer(next: Next): void {
    this.#next.hidden = next === null;
    if (next) write(this.#next, NEXT[next]);
  }

  /** Offers to report the moment, or does not. */
  offerReport(offered: boolean): void {
    this.#report.hidden = !offered;
  }

  /** Says something to those who do not see it. */
  say(text: string): void {
    write(this.#said, text);
  }

  #renderNotice(status: ElementStatus, { text, link, asks, silent }: Notice): void {
    write(this.#notice, notice(status.resting, text));
    this.#notice.hidden = silent;
    this.#question.hidden = !asks;
    this.#link.hidden = link === null;
    if (link !== null && this.#link.href !== link) this.#link.href = link;
  }

  #about(): HTMLElement {
    const state = make("span", { class: "state", role: "status" }, make("span", { class: "dot" }), this.#word);
    const toggle = make("label", { class: "switch" }, this.#switch, make("span", { class: "track" }), "Relay to others");
    const list = make("dl");
    for (const row of ROWS) {
      const cell = make("dd", { class: row.toLowerCase().replace(" ", "-") });
      this.#rows.set(row, cell);
      list.append(make("div", {}, make("dt", {}, row), cell));
    }
    const notices = make("div", { class: "notices" }, this.#notice, this.#link, this.#report);
    const line = make("div", { class: "line" }, state, this.#lag, toggle);
    return make("section", { class: "panel", part: "panel", "aria-label": "About this stream" }, this.#question, line, list, notices);
  }

  #ask(events: PanelEvents): void {
    const yes = make("button", { type: "button" }, "Relay");
    const no = make("button", { type: "button" }, "Only watch");
    yes.addEventListener("click", () => events.relay(true));
    no.addEventListener("click", () => events.relay(false));
    const text = "May this page pass the stream on to other viewers while you watch?";
    this.#question.append(make("p", {}, text), yes, no);
  }

  #pressed(event: KeyboardEvent, events: PanelEvents): void {
    const action = actionOf(event, focusOf(event.target));
    if (!action) return;
    event.preventDefault();
    events.act(action);
  }

  #row(row: Row, text: string): void {
    const cell = this.#rows.get(row);
    if (cell) write(cell, text);
  }
}

function focusOf(target: EventTarget | null): Focus {
  if (target instanceof HTMLButtonElement) return "button";
  if (target instanceof HTMLInputElement) return target.type === "range" ? "range" : "switch";
  return "other";
}

function relayed(sent: number, received: number): string {
  const share = received > 0 && sent > 0 ? ` (${(sent / received).toFixed(1)} ×)` : "";
  return bytes(sent) + share;
}
