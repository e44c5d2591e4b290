// When a page had better not relay, whatever the viewer has agreed to.

/** Why a page does not relay just now. */
export type Reason = "off" | "metered" | "hidden" | "battery" | "cap" | "linkless";

/** What is known of the machine and its network; not all browsers tell all of it. */
export interface Surroundings {
  /** The viewer has switched relaying off, or the page has and the viewer not on. */
  off: boolean;
  /** The viewer asks pages to save data, or the line is a phone's. */
  metered: boolean;
  /** Whoever embeds the player allows relaying on such lines. */
  meteredAllowed: boolean;
  /** For how long the page has been hidden, in milliseconds; 0 while it is seen. */
  hidden_ms: number;
  /** The charge from 0 to 1 when the machine runs on it; nothing on mains or when it is not told. */
  battery: number | null;
  /** Copies of the stream that the upload cap has room for; nothing without a cap. */
  copies: number | null;
  /** No links can be made here. */
  linkless: boolean;
}

/** A page that is hidden for longer becomes a leaf, in milliseconds; a glance at another tab is no reason. */
export const HIDDEN_MS_MAX = 20_000;
/** Below this charge a machine that runs on it becomes a leaf. */
export const BATTERY_MIN = 0.25;
/** A node sends up to one copy more than it has children, when it helps another's out. */
const SPARE = 1;
/** Children a page can feed. */
const CHILDREN_MAX = 2;
/** A stream whose rate is not known yet is taken for one of so many bits per second. */
const RATE_UNKNOWN = 2_500_000;

/** Why a page does not relay; nothing when it does. */
export function reasonNot(around: Surroundings): Reason | null {
  if (around.off) return "off";
  if (around.linkless) return "linkless";
  if (around.metered && !around.meteredAllowed) return "metered";
  if (around.copies !== null && around.copies < SPARE + 1) return "cap";
  if (around.battery !== null && around.battery < BATTERY_MIN) return "battery";
  if (around.hidden_ms > HIDDEN_MS_MAX) return "hidden";
  return null;
}

/** Copies that a cap in megabits per second has room for, whole ones. */
export function copiesWithin(cap_mbps: number, bits_per_second: number | null): number {
  return Math.floor((cap_mbps * 1e6) / (bits_per_second || RATE_UNKNOWN));
}

/** Children of a page with room for so many copies: with the spare copy it never sends more. */
export function childrenWithin(copies: number | null): number {
  return copies === null ? CHILDREN_MAX : Math.max(0, Math.min(CHILDREN_MAX, copies - SPARE));
}

/** The rate is measured over so long, in milliseconds. */
const RATE_MS = 10_000;
/** Headers and signatures that come with the payload. */
const RATE_OVERHEAD = 1.05;

/** The rate of a stream, by what has come of it. */
export class Rate {
  #begun: { at: number; bytes: number } | null = null;
  #first = true;
  #bits: number | null = null;

  /** Bits per second over the last whole span; nothing before the second one, as a newcomer is sent a lot at once. */
  get bits_per_second(): number | null {
    return this.#bits;
  }

  /** So many bytes have come in all, at this time in milliseconds. */
  note(bytes: number, at: number): void {
    const begun = this.#begun;
    if (!begun || bytes < begun.bytes) {
      this.#begun = { at, bytes };
      this.#first = true;
    } else if (at - begun.at >= RATE_MS) {
      if (!this.#first) this.#bits = (((bytes - begun.bytes) * 8) / (at - begun.at)) * 1000 * RATE_OVERHEAD;
      this.#first = false;
      this.#begun = { at, bytes };
    }
  }
}

type Network = EventTarget & { saveData?: boolean; type?: string };
type Battery = EventTarget & { charging: boolean; level: number };

/** Watches the machine, and tells when something has changed. */
export class Watch {
  readonly #changed: () => void;
  readonly #network = (navigator as { connection?: Network }).connection;
  #battery: Battery | null = null;
  #hiddenSince: number | null = null;

  constructor(changed: () => void, signal: AbortSignal) {
    this.#changed = changed;
    document.addEventListener("visibilitychange", () => this.#seen(), { signal });
    this.#network?.addEventListener?.("change", changed, { signal });
    this.#seen();
    void this.#watchBattery(signal);
  }

  /** What is known now. */
  now(): Pick<Surroundings, "metered" | "hidden_ms" | "battery"> {
    const battery = this.#battery && !this.#battery.charging ? this.#battery.level : null;
    const metered = this.#network?.saveData === true || this.#network?.type === "cellular";
    const hidden_ms = this.#hiddenSince === null ? 0 : performance.now() - this.#hiddenSince;
    return { metered, hidden_ms, battery };
  }

  #seen(): void {
    const hidden = document.visibilityState === "hidden";
    this.#hiddenSince = hidden ? (this.#hiddenSince ?? performance.now()) : null;
    this.#changed();
  }

  async #watchBattery(signal: AbortSignal): Promise<void> {
    const { getBattery } = navigator as { getBattery?: () => Promise<Battery> };
    try {
      const battery = await getBattery?.call(navigator);
      if (!battery || signal.aborted) return;
      this.#battery = battery;
      for (const name of ["levelchange", "chargingchange"]) battery.addEventListener(name, this.#changed, { signal });
      this.#changed();
    } catch {
      // A page's policy may forbid to ask.
    }
  }
}
