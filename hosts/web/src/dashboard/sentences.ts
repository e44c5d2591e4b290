// What the dashboard says in words.

import { called, type Moment, type Node, type Sums } from "./model.ts";

/** Bits per second as people read them. */
export function rate(bps: number): string {
  if (bps >= 1e9) return `${(bps / 1e9).toFixed(2)} Gbit/s`;
  if (bps >= 1e6) return `${(bps / 1e6).toFixed(bps >= 1e7 ? 0 : 1)} Mbit/s`;
  return `${Math.round(bps / 1e3)} kbit/s`;
}

/** A share as people read it. */
export function percent(share: number): string {
  const value = share * 100;
  return `${value >= 99.995 || value === 0 ? Math.round(value) : value.toFixed(value > 99 || value < 1 ? 2 : 1)} %`;
}

const count = (number: number, one: string, many: string): string => `${number} ${number === 1 ? one : many}`;
const viewers = (number: number): string => count(number, "viewer", "viewers");

/** The direct-feed budget in one sentence. */
export function budgetSentence(sums: Sums, budget_mbps: number): string {
  const direct = sums.number("outlook", "direct");
  if (budget_mbps === 0) {
    return "This machine feeds two viewers itself and everybody else gets the stream from other viewers; with "
      + "[source] budget_mbps it feeds a small audience directly, up to that many megabits per second.";
  }
  const stream = sums.number("rates", "stream_bps");
  const each = stream > 0 ? ` and a stream of ${rate(stream)}` : "";
  return `With a budget of ${budget_mbps} Mbit/s${each} this machine feeds up to ${viewers(direct)} itself; from then on viewers `
    + "feed viewers.";
}

/** How many more viewers the tree can carry. */
export function roomSentence(sums: Sums): string {
  const number = (name: string): number => sums.number("outlook", name);
  const [places, limit, more] = [number("places"), number("limit"), sums.maybe("outlook", "more")];
  if (limit === 0) return "This host has as many viewers as its limits.nodes allows.";
  if (places === 0 && sums.text("outlook", "level") === "full") {
    return "The tree is full: further viewers who do not pass the stream on have to wait.";
  }
  const worst = `There is room for ${viewers(places)} more who do not pass the stream on`;
  if (more === null) return `${worst}; those who do bring their own room, up to ${limit} more that this host lets in.`;
  return `${worst}, or for ${more} like those who are here.`;
}

/** What the viewers' uplinks carry; nothing while none is known. */
export function uplinkSentence(sums: Sums): string {
  const [measured, carry] = [sums.number("uplinks", "measured"), sums.number("uplinks", "carry")];
  if (measured === 0) return "";
  const median = `${sums.is("uplinks", "or_more") ? "at least " : ""}${rate(sums.number("uplinks", "median_kbps") * 1e3)}`;
  return `Upload, as bursts of packets show it: of ${viewers(measured)} measured ${carry} can send two copies of this stream; half of `
    + `them have ${median} or more.`;
}

/** What a helper would add. */
export function helperSentence(sums: Sums): string {
  const urgent = sums.text("outlook", "level") !== "roomy";
  const now = count(sums.number("helpers"), "helper is", "helpers are");
  const begin = urgent ? "Each helper would make" : "Each helper makes";
  return `${now} here. ${begin} room for one more viewer who does not pass the stream on, and stays when viewers go: run `
    + "“peerstream relay” with this page's address on another machine.";
}

/** What is not as it should be, the gravest first. */
export function warnings(sums: Sums, problem: string | null, advice: readonly string[] = []): string[] {
  const found: string[] = [];
  const state = sums.text("state");
  if (state === "failed") found.push(`The input has failed${problem ? `: ${problem}` : "."}`);
  if (state === "away") found.push("Nobody is on air; viewers wait until an input comes back.");
  if (state === "taken-down") found.push(`The stream was taken down${problem ? `: ${problem}` : "."}`);
  if (sums.is("overloaded")) found.push("More than half of the viewers cannot keep up with the bitrate.");
  if (sums.text("outlook", "level") !== "roomy" && sums.text("outlook", "level") !== "") found.push(roomSentence(sums));
  const upload = sums.text("upload_advice");
  if (upload !== "") found.push(upload);
  const struggling = sums.number("struggling");
  if (struggling > 0) found.push(`${viewers(struggling)} ${struggling === 1 ? "does" : "do"} not get the stream as they should.`);
  return [...found, ...advice];
}

const HAPPENINGS: Record<string, (about: string) => string> = {
  joined: () => "joined",
  adopted: () => "came over from before the host's restart",
  disconnected: () => "lost its control connection",
  resumed: () => "is connected again",
  moved: (about) => `is to be fed by ${about}`,
  suspected: (about) => `has fallen silent, says ${about}`,
  "link-failed": (about) => `could not reach ${about}`,
  starving: () => "is fed by nobody",
  rescued: (about) => `is fed by ${about} in the meantime`,
  underperforms: (about) => (about === "relay" ? "passes the stream on too slowly" : "gets the stream worse than its siblings"),
  died: (about) => `is gone (${about})`,
  left: () => "left",
  "turned-away": (about) => `was turned away (${about})`,
};

const NAMED = new Set(["moved", "suspected", "link-failed", "rescued"]);
const GRAVE = new Set(["suspected", "starving", "underperforms", "died", "turned-away", "link-failed"]);
const REPAIR = new Set(["rescued", "moved", "resumed"]);

/** A happening in words, without the node's name. */
export function happening({ what, about }: Moment): string {
  const object = about === null ? "" : NAMED.has(what) ? called(about) : about;
  return HAPPENINGS[what]?.(object) ?? `${what} ${object}`.trim();
}

/** Whether a happening is trouble, a repair, or neither. */
export function colour({ what }: Moment): "trouble" | "repair" | "plain" {
  return GRAVE.has(what) ? "trouble" : REPAIR.has(what) ? "repair" : "plain";
}

/** How a node is judged. */
export function judged(node: Node): string {
  const found: string[] = [];
  if (!node.connected) found.push("its control connection is broken");
  if (node.suspected) found.push("a neighbour says that it has fallen silent");
  if (node.struggling) found.push("it does not get the stream as it should");
  if (node.fault === "relay") found.push("it passes the stream on too slowly");
  if (node.fault === "receiver") found.push("it is worse off than its siblings");
  return found.join(", ") || "nothing against it";
}
