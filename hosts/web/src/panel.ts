// What the element shows: the video, and below it who feeds whom.

import style from "./panel.css";
import type { ElementStatus } from "./status.ts";
import { bytes, names, RELAYS, RELAYS_NOT, span, STATES } from "./words.ts";

const MARKUP = `
<div class="screen">
  <video part="video" playsinline></video>
  <div class="cover"><span class="pulse"></span><strong></strong><span class="detail"></span></div>
  <button class="hand" type="button" hidden></button>
</div>
<section class="panel" part="panel" aria-label="About this stream">
  <div class="line">
    <span class="state" role="status"><span class="dot"></span><span class="word"></span></span>
    <span class="lag"></span>
    <label class="switch"><input type="checkbox" role="switch"><span class="track"></span>Relay to others</label>
  </div>
  <dl>
    <div><dt>Fed by</dt><dd class="feeders"></dd></div>
    <div><dt>Feeding</dt><dd class="fed"></dd></div>
    <div><dt>Backup</dt><dd class="backup"></dd></div>
    <div><dt>Received</dt><dd class="received"></dd></div>
    <div><dt>Relayed</dt><dd class="relayed"></dd></div>
  </dl>
  <p class="notice"></p>
</section>`;

/** Why the user's hand is needed. */
export type Hand = "unmute" | "play" | null;

const HANDS: Record<"unmute" | "play", string> = { unmute: "Turn the sound on", play: "Play" };

/** The shadow tree of one element. */
export class Panel {
  /** The media element; it is there from the start. */
  readonly video: HTMLVideoElement;
  readonly #root: ShadowRoot;
  readonly #switch: HTMLInputElement;
  readonly #hand: HTMLButtonElement;

  /** Fills the shadow root. `relay` is told of the switch, `hand` of the button. */
  constructor(root: ShadowRoot, relay: (on: boolean) => void, hand: () => void) {
    this.#root = root;
    root.innerHTML = `<style>${style}</style>${MARKUP}`;
    this.video = this.#find("video");
    this.#switch = this.#find("input");
    this.#hand = this.#find(".hand");
    this.#switch.addEventListener("change", () => relay(this.#switch.checked));
    this.#hand.addEventListener("click", hand);
  }

  /** Shows a status. */
  render(status: ElementStatus, relay: boolean): void {
    const { figures, state } = status;
    this.#root.host.setAttribute("data-state", state);
    this.#text(".word", STATES[state]);
    this.#text(".cover strong", STATES[state]);
    this.#text(".detail", status.detail ?? "");
    this.#find(".cover").hidden = state === "live";
    // Before there is anything to control, controls only promise what they cannot do.
    this.video.controls ||= state === "live";
    this.#text(".lag", state === "live" && status.lag_ms > 0 ? `${span(status.lag_ms)} behind the source` : "");
    this.#text(".feeders", names(status.feeders));
    this.#text(".fed", names(status.fed));
    this.#text(".backup", status.backup ? names([status.backup]) : "none");
    this.#text(".received", bytes(figures.payload_received));
    this.#text(".relayed", relayed(figures.payload_sent, figures.payload_received));
    this.#text(".notice", relay ? RELAYS : RELAYS_NOT);
    this.#switch.checked = relay;
  }

  /** Asks for the user's hand, or does not any more. */
  ask(hand: Hand): void {
    this.#hand.hidden = hand === null;
    if (hand) this.#hand.textContent = HANDS[hand];
  }

  #find<T extends HTMLElement>(selector: string): T {
    const found = this.#root.querySelector<T>(selector);
    if (!found) throw new Error(`no ${selector} in the panel`);
    return found;
  }

  /** Only what changes is written, so that a screen reader is not disturbed. */
  #text(selector: string, text: string): void {
    const element = this.#find(selector);
    if (element.textContent !== text) element.textContent = text;
  }
}

function relayed(sent: number, received: number): string {
  const share = received > 0 && sent > 0 ? ` (${(sent / received).toFixed(1)} ×)` : "";
  return bytes(sent) + share;
}
