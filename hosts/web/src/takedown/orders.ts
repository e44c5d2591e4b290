// What an operator can do about a case: its key, the words around it, what is asked, and what the host is told.

import type { Notice } from "./api.ts";
import { readTime, writeTime } from "./times.ts";

/** A field of the question. */
export interface Ask {
  name: string;
  label: string;
  sort: "line" | "text" | "tick" | "time" | "mail";
  value?: string;
  ticked?: boolean;
  required?: boolean;
}

/** When the evidence is of, in milliseconds since the broadcast began, if there is any. */
export type Times = readonly [from: number, to: number] | null;

/** Something that can be done. */
export interface Order {
  /** The step of the state machine that allows it; none when it is always allowed. */
  step: string | null;
  key: string;
  label: string;
  note: string;
  /** What is asked before it is done. */
  asks(notice: Notice, times: Times): Ask[];
  /** What the host is asked to do: where, and with what. Throws when an answer makes no sense. */
  tell(answers: Map<string, string>): [path: string, body: Record<string, unknown>];
}

const reason = (label: string): Ask => ({ name: "note", label, sort: "text", required: true });

function range(answers: Map<string, string>): { from_ms: number; to_ms: number } {
  const [from_ms, to_ms] = ["from", "to"].map((name) => readTime(answers.get(name) ?? ""));
  if (from_ms == null || to_ms == null || to_ms <= from_ms) throw new Error("The range to hide needs a beginning and a later end, such as 12:30 and 13:05.");
  return { from_ms, to_ms };
}

function actions(answers: Map<string, string>): unknown[] {
  const all: unknown[] = [];
  if (answers.has("hide")) all.push({ action: "hide-range", ...range(answers) });
  if (answers.has("stop")) all.push({ action: "stop-stream" });
  if (answers.has("notify")) all.push({ action: "notify-publisher" });
  if (answers.has("strike")) all.push({ action: "strike" });
  if (all.length === 0) throw new Error("Choose at least one thing to be done.");
  return all;
}

function askActions({ material }: Notice, times: Times): Ask[] {
  const [from_ms, to_ms] = [material?.from_ms ?? times?.[0], material?.to_ms ?? times?.[1]];
  const ranged = from_ms !== undefined && to_ms !== undefined;
  return [
    { name: "hide", label: "Hide this part of the broadcast", sort: "tick", ticked: ranged },
    { name: "from", label: "From", sort: "time", value: ranged ? writeTime(from_ms) : "" },
    { name: "to", label: "Until", sort: "time", value: ranged ? writeTime(to_ms) : "" },
    { name: "notify", label: "Tell the streamer", sort: "tick", ticked: true },
    { name: "strike", label: "Count it against the streamer", sort: "tick" },
    { name: "stop", label: "Stop the live stream", sort: "tick" },
  ];
}

/** All there are, in the order in which they are shown. */
export const ORDERS: readonly Order[] = [
  {
    step: "accept",
    key: "a",
    label: "Accept and act",
    note: "The notice holds. What you choose is done at once; all of it but telling the streamer can be undone.",
    asks: (notice, times) => [...askActions(notice, times), reason("Why, for the log and the streamer")],
    tell: (answers) => ["decide", { decision: "act", actions: actions(answers), note: answers.get("note") ?? "" }],
  },
  {
    step: "reject",
    key: "r",
    label: "Reject",
    note: "The notice does not hold. Whoever complained is told why.",
    asks: () => [{ name: "reason", label: "Why, for whoever complained", sort: "text", required: true }],
    tell: (answers) => ["decide", { decision: "reject", reason: answers.get("reason") ?? "" }],
  },
  {
    step: "ask",
    key: "i",
    label: "Ask for more",
    note: "Whoever complained is asked, with a deadline. One thing in each line.",
    asks: () => [{ name: "fields", label: "What is missing", sort: "text", required: true }],
    tell: (answers) => {
      const lines = (answers.get("fields") ?? "").split("\n").map((line) => line.trim());
      return ["decide", { decision: "need-info", fields: lines.filter((line) => line !== "") }];
    },
  },
  {
    step: "act",
    key: "m",
    label: "Do more",
    note: "More is done about a notice that was accepted.",
    asks: (notice, times) => [...askActions(notice, times), reason("Why, for the log")],
    tell: (answers) => ["act", { actions: actions(answers), note: answers.get("note") ?? "" }],
  },
  {
    step: "reopen",
    key: "u",
    label: "Undo and decide again",
    note: "What was done is undone, and the case waits for a decision again.",
    asks: () => [reason("Why, for the log")],
    tell: (answers) => ["undo", { note: answers.get("note") ?? "" }],
  },
  {
    step: "restore",
    key: "s",
    label: "Restore",
    note: "What was hidden can be seen again.",
    asks: () => [reason("Why, for the log")],
    tell: (answers) => ["restore", { note: answers.get("note") ?? "" }],
  },
  {
    step: "close",
    key: "c",
    label: "Close",
    note: "The case is over. What was done stays done.",
    asks: () => [reason("Why, for the log")],
    tell: (answers) => ["close", { note: answers.get("note") ?? "" }],
  },
  {
    step: "suit",
    key: "t",
    label: "Court action",
    note: "The claimant has reported a court action by post: what is hidden stays hidden.",
    asks: () => [
      { name: "court", label: "Court", sort: "line", required: true },
      { name: "number", label: "Number there", sort: "line" },
      { name: "explanation", label: "Anything else", sort: "text" },
    ],
    tell: (answers) => ["suit", Object.fromEntries(answers)],
  },
  {
    step: null,
    key: "n",
    label: "Note",
    note: "For the log; nobody else is told.",
    asks: () => [{ name: "text", label: "Note", sort: "text", required: true }],
    tell: (answers) => ["note", { text: answers.get("text") ?? "" }],
  },
  {
    step: null,
    key: "h",
    label: "Legal hold",
    note: "While it is held nothing of the case is erased.",
    asks: () => [{ name: "hold", label: "Hold it", sort: "tick", ticked: true }, reason("Why, for the log")],
    tell: (answers) => ["hold", { hold: answers.has("hold"), note: answers.get("note") ?? "" }],
  },
  {
    step: null,
    key: "x",
    label: "Erase personal data",
    note: "Names, addresses, the copy and the evidence are erased for good; the log keeps their hashes and still verifies. This cannot be undone.",
    asks: () => [reason("Why, for the log")],
    tell: (answers) => ["erase", { note: answers.get("note") ?? "" }],
  },
];

/** The orders that a case allows. `act` is a step of the host's own, which follows on every decision; more can be done while something is done. */
export function allowed(steps: readonly string[], state: string): Order[] {
  const more = state === "accepted" || state === "actioned";
  return ORDERS.filter(({ step }) => step === null || (step === "act" ? more : steps.includes(step)));
}
