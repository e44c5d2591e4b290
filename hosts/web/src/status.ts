// What `element.status()` returns.

import type { PlayerReport } from "./ranges.ts";
import type { Steps } from "./steps.ts";
import type { Reason } from "./thrift.ts";

/** Counters of a node; see `Figures` in `framework/protocol/src/control.rs`. */
export interface Figures {
  next: number;
  received_lag_ms: number;
  lag_ms: number;
  payload_received: number;
  payload_repeated: number;
  payload_sent: number;
  overhead_sent: number;
  delivered: number;
  skipped: number;
  stalls: number;
  offences: number;
  /** What the page's uplink was last found to carry, in kilobits per second; 0 while that is not known. */
  uplink_kbps: number;
}

/** A node's view of itself, as the module tells it. */
export interface NodeStatus {
  node: string | null;
  stream: string | null;
  epoch: number | null;
  control: boolean;
  feeders: string[];
  fed: string[];
  backup: string | null;
  links: number;
  relay: boolean;
  /** The source's wall clock at time zero of the media, milliseconds since 1970, once known. */
  zero_ms: number | null;
  /** The host sends the stream over HTTP, as nobody feeds the page. */
  fallback: boolean;
  /** Payload bytes that the host sent so. */
  fetched: number;
  /** How long ago what the viewer sees was taken in, while it has gone back in time; else nothing. */
  behind_ms: number | null;
  /** Open links to other viewers that keep what it sees. */
  keepers: number;
  /** How much of the past the page keeps, in time and in memory. */
  kept_ms: number;
  kept_bytes: number;
  /** Payload bytes of the past: sent to other viewers, had from them, had from the host. */
  past_sent: number;
  past_from_peers: number;
  past_from_host: number;
  /** Segments of the past that nobody gave. */
  past_lost: number;
  /** How far behind the newest segment the player aims to be. */
  target_ms: number;
  /** How much later than others some segments come. */
  jitter_ms: number;
  figures: Figures;
}

/** How the media element stands, for people and tests. */
export interface PlayerStatus extends PlayerReport {
  rate: number;
  muted: boolean;
  mime: string | null;
  appended: number;
  seeks: number;
  restarts: number;
}

/** What a page shows; see [stateOf]. */
export type StateName =
  "connecting" | "waiting" | "starting" | "live" | "ended" | "recording" | "refused" | "unsupported" | "failed";

/** All there is to know about one player. */
export interface ElementStatus extends NodeStatus {
  state: StateName;
  /** A sentence that explains the state, when there is one. */
  detail: string | null;
  lag_ms: number;
  /** What is being played, such as the title of a track; may be empty. */
  title: string;
  /** How far back the viewer may go, in seconds; 0 for not at all. */
  window_s: number;
  /** Why the page does not relay just now, when it does not. */
  resting: Reason | null;
  /** Times the module had to be replaced. */
  engine_restarts: number;
  /** Where verification and media source run: in a Worker, or on the page's thread; nothing before that is clear. */
  thread: "worker" | "page" | null;
  /** Times that a Worker was wanted and the page or the browser did not let it be. */
  worker_refusals: number;
  /** Segments of data that were dropped, as the page was too busy to take them. */
  untaken: number;
  /** When the steps up to the first picture were done, in milliseconds since the page was opened. */
  steps: Steps;
  player: PlayerStatus | null;
}

/** The status of a node that is not there yet. */
export const NO_NODE: NodeStatus = {
  node: null,
  stream: null,
  epoch: null,
  control: false,
  feeders: [],
  fed: [],
  backup: null,
  links: 0,
  relay: false,
  zero_ms: null,
  fallback: false,
  fetched: 0,
  behind_ms: null,
  keepers: 0,
  kept_ms: 0,
  kept_bytes: 0,
  past_sent: 0,
  past_from_peers: 0,
  past_from_host: 0,
  past_lost: 0,
  target_ms: 0,
  jitter_ms: 0,
  figures: {
    next: 0,
    received_lag_ms: 0,
    lag_ms: 0,
    payload_received: 0,
    payload_repeated: 0,
    payload_sent: 0,
    overhead_sent: 0,
    delivered: 0,
    skipped: 0,
    stalls: 0,
    offences: 0,
    uplink_kbps: 0,
  },
};

/** A judgement that stands above the ordinary course: what was said, and by whom. */
export interface Verdict {
  state: "refused" | "unsupported" | "failed";
  detail: string;
}

/** What the state is derived from. */
export interface Situation {
  node: NodeStatus;
  verdict: Verdict | null;
  /** The broadcast has ended. */
  ended: boolean;
  /** Its recording is played. */
  taped: boolean;
  /** Pictures are on the screen, or data comes that is not for the screen. */
  running: boolean;
  /** The host says that nothing is broadcast yet, or just now. */
  notYet: boolean;
}

/** Names the state of a player. */
export function stateOf(situation: Situation): StateName {
  const { node, verdict } = situation;
  if (situation.taped) return "recording";
  // Who is turned away goes on watching as long as neighbours feed it.
  if (verdict && !(verdict.state === "refused" && situation.running)) return verdict.state;
  if (situation.ended) return "ended";
  if (situation.running) return "live";
  if (!node.control && node.feeders.length === 0) return situation.notYet ? "waiting" : "connecting";
  if (situation.notYet) return "waiting";
  return node.figures.delivered > 0 || node.feeders.length > 0 ? "starting" : "waiting";
}
