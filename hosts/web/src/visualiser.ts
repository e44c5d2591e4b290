// Something to look at where there is only sound: how loud its tones are.

import type { Cancel, Clock } from "./clock.ts";

/** Bars drawn. */
const BARS = 40;
/** Drawn this often, in milliseconds: what costs is not the drawing but that the page is put together anew. A page that is asked to move little is drawn seldom, and so is one whose machine has more to do than it can. */
const EVERY_MS = 125;
const SELDOM_MS = 1_000;
/** A bar, the same with the space beside it, and the tallest bar, in dots; the browser stretches them. */
const BAR = 3;
const STEP = 5;
const HEIGHT = 64;

/** Draws the sound of one element while somebody can see it. */
export class Visualiser {
  readonly element: HTMLCanvasElement;
  readonly #media: HTMLMediaElement;
  readonly #clock: Clock;
  readonly #pace = new Pace(EVERY_MS, SELDOM_MS);
  readonly #observer = new IntersectionObserver((seen) => (this.#inView = seen.at(-1)?.isIntersecting ?? false));
  #inView = false;
  #audio: AudioContext | null = null;
  #analyser: AnalyserNode | null = null;
  /** It listens to a copy of the sound, so that it may sleep while nobody looks. */
  #copies = false;
  #drawn = "";
  #colour = { text: "", until: 0 };
  #stop: Cancel | null = null;

  constructor(canvas: HTMLCanvasElement, media: HTMLMediaElement, clock: Clock) {
    this.element = canvas;
    this.element.width = BARS * STEP;
    this.element.height = HEIGHT;
    this.#media = media;
    this.#clock = clock;
  }

  /** Whether it draws what is heard. */
  get hears(): boolean {
    return this.#analyser !== null;
  }

  /** Begins to draw; call it when the element plays, and again after the user's hand was there. */
  start(): void {
    if (!this.#stop) {
      this.#observer.observe(this.element);
      this.#after(EVERY_MS);
    }
    if (!this.#analyser) void this.#listen();
  }

  /** Draws no more. What is heard goes on. */
  stop(): void {
    this.#observer.disconnect();
    this.#listenWhile(false);
    this.#stop?.();
    this.#stop = null;
  }

  /** Where a copy of the sound is to be had it is listened to. Elsewhere the element itself is, and is heard through the graph for ever after. */
  async #listen(): Promise<void> {
    try {
      this.#audio ??= new AudioContext({ latencyHint: "playback" });
      if (this.#audio.state !== "running") await Promise.race([this.#audio.resume(), pause(300)]);
      // An element that is tapped by a graph which does not run falls silent.
      if (this.#audio.state !== "running" || this.#analyser) return;
      const analyser = this.#audio.createAnalyser();
      analyser.fftSize = 1024;
      const { captureStream } = this.#media as { captureStream?: () => MediaStream };
      this.#copies = captureStream !== undefined;
      if (captureStream) copy(this.#audio, captureStream.call(this.#media), analyser);
      else this.#audio.createMediaElementSource(this.#media).connect(analyser).connect(this.#audio.destination);
      this.#analyser = analyser;
    } catch {
      // Somebody else listens already, or there is no graph here: the bars stay low.
    }
  }

  #after(ms: number): void {
    const due = performance.now() + ms;
    this.#stop = this.#clock.after(ms, () => this.#again(performance.now() - due));
  }

  #again(late_ms: number): void {
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    const seen = this.#inView && document.visibilityState === "visible";
    this.#listenWhile(seen);
    this.#after(calm || !seen ? SELDOM_MS : this.#pace.next(late_ms));
    if (seen) this.#draw();
  }

  /** A graph costs as much whether anybody looks or not. */
  #listenWhile(seen: boolean): void {
    if (!this.#audio || !this.#copies) return;
    if (seen && this.#audio.state === "suspended") void this.#audio.resume();
    if (!seen && this.#audio.state === "running") void this.#audio.suspend();
  }

  #draw(): void {
    const heights = barsOf(this.#bins(), BARS).map((level) => Math.max(1, Math.round(level * HEIGHT)));
    const looks = `${this.#seenColour()} ${heights.join()}`;
    const paint = looks === this.#drawn ? null : this.element.getContext("2d");
    if (!paint) return;
    this.#drawn = looks;
    paint.clearRect(0, 0, this.element.width, HEIGHT);
    paint.fillStyle = this.#colour.text;
    heights.forEach((height, index) => paint.fillRect(index * STEP, HEIGHT - height, BAR, height));
  }

  /** The colour that the page's style gives it; asking costs as much as drawing does. */
  #seenColour(): string {
    const now = performance.now();
    if (now >= this.#colour.until) this.#colour = { text: getComputedStyle(this.element).color, until: now + SELDOM_MS };
    return this.#colour.text;
  }

  #bins(): Uint8Array {
    const bins = new Uint8Array(this.#analyser?.frequencyBinCount ?? 0);
    this.#analyser?.getByteFrequencyData(bins);
    return bins;
  }
}

/** How often something is done: as often as wanted while its time comes when it is due, and less and less often while it comes late. */
export class Pace {
  readonly #least_ms: number;
  readonly #most_ms: number;
  #now_ms: number;

  /** Between these pauses, in milliseconds. */
  constructor(least_ms: number, most_ms: number) {
    this.#least_ms = this.#now_ms = least_ms;
    this.#most_ms = most_ms;
  }

  /** The next pause, when the last one took so much longer than it should. */
  next(late_ms: number): number {
    const factor = late_ms > this.#now_ms / 2 ? 2 : 0.9;
    this.#now_ms = Math.min(this.#most_ms, Math.max(this.#least_ms, this.#now_ms * factor));
    return this.#now_ms;
  }
}

/** Bins gathered into bars from 0 to 1, as the ear does it: each bar spans about as many octaves. */
export function barsOf(bins: Uint8Array, bars: number): number[] {
  const edge = (bar: number): number => Math.floor(bins.length ** (bar / bars));
  return Array.from({ length: bars }, (_, bar) => {
    const part = bins.subarray(edge(bar) - 1, Math.max(edge(bar), edge(bar + 1) - 1));
    return part.reduce((most, bin) => Math.max(most, bin), 0) / 255;
  });
}

function pause(ms: number): Promise<void> {
  return new Promise((done) => setTimeout(done, ms));
}

/** Leads the sound of a stream to a node, and that of tracks that come later: a new source of an element has new ones. */
function copy(audio: AudioContext, stream: MediaStream, to: AudioNode): void {
  const lead = (track: MediaStreamTrack): void => {
    if (track.kind === "audio") audio.createMediaStreamSource(new MediaStream([track])).connect(to);
  };
  stream.getAudioTracks().forEach(lead);
  stream.addEventListener("addtrack", ({ track }) => lead(track));
}
