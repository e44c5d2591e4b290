// What took how long, from the opening of a page to its first picture.

/** The steps, in the order in which they usually come. */
export type Step =
  /** The player is in the page. */
  | "player"
  /** The host has said what it has to say. */
  | "facts"
  /** The thread of the station runs. */
  | "thread"
  /** The module is compiled. */
  | "module"
  /** The control connection is open. */
  | "control"
  /** The coordinator has welcomed the node. */
  | "welcome"
  /** The first segment is whole. */
  | "segment"
  /** The browser has taken it in. */
  | "appended"
  /** The first picture is on the screen, or the first sound is heard. */
  | "shown";

/** When steps were first done, in milliseconds since 1970; page and Worker count from moments of their own. */
export type Steps = Partial<Record<Step, number>>;

/** Notes the first time of each step. */
export class Track {
  readonly #steps: Steps = {};

  note(step: Step, at = performance.now()): void {
    this.#steps[step] ??= performance.timeOrigin + at;
  }

  get steps(): Steps {
    return { ...this.#steps };
  }
}

/** The same since the opening of this page, in whole milliseconds. */
export function sinceOpened(...all: (Steps | undefined)[]): Steps {
  const entries = all.flatMap((steps) => Object.entries(steps ?? {}));
  return Object.fromEntries(entries.map(([step, at]) => [step, Math.round(at - performance.timeOrigin)]));
}
