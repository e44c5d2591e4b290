// Something to look at where there is only sound: how loud its tones are.

import type { Cancel, Clock } from "./clock.ts";

/** Bars drawn. */
const BARS = 40;
/** Drawn this often, in milliseconds; a page that is asked to move little is drawn seldom. */
const EVERY_MS = 66;
const EVERY_CALM_MS = 1_000;
const WIDTH = 640;
const HEIGHT = 160;

/** Draws the sound of one element. */
export class Visualiser {
  readonly element: HTMLCanvasElement;
  readonly #media: HTMLMediaElement;
  readonly #clock: Clock;
  #audio: AudioContext | null = null;
  #analyser: AnalyserNode | null = null;
  #stop: Cancel | null = null;

  constructor(canvas: HTMLCanvasElement, media: HTMLMediaElement, clock: Clock) {
    this.element = canvas;
    this.element.width = WIDTH;
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
    if (!this.#stop) this.#again();
    if (!this.#analyser) void this.#listen();
  }

  /** Draws no more. What is heard goes on. */
  stop(): void {
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
      if (captureStream) copy(this.#audio, captureStream.call(this.#media), analyser);
      else this.#audio.createMediaElementSource(this.#media).connect(analyser).connect(this.#audio.destination);
      this.#analyser = analyser;
    } catch {
      // Somebody else listens already, or there is no graph here: the bars stay low.
    }
  }

  #again(): void {
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.#stop = this.#clock.after(calm ? EVERY_CALM_MS : EVERY_MS, () => this.#again());
    if (document.visibilityState === "visible") this.#draw();
  }

  #draw(): void {
    const paint = this.element.getContext("2d");
    if (!paint) return;
    paint.clearRect(0, 0, WIDTH, HEIGHT);
    paint.fillStyle = getComputedStyle(this.element).color;
    const levels = barsOf(this.#bins(), BARS);
    const step = WIDTH / BARS;
    levels.forEach((level, index) => {
      const height = Math.max(2, level * HEIGHT);
      paint.fillRect(index * step, HEIGHT - height, step * 0.6, height);
    });
  }

  #bins(): Uint8Array {
    const bins = new Uint8Array(this.#analyser?.frequencyBinCount ?? 0);
    this.#analyser?.getByteFrequencyData(bins);
    return bins;
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
