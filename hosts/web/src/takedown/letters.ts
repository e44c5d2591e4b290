// Mails about a case, in words: to whom, when, and what went wrong.

import { shown } from "./shown.ts";
import { fromNow, writeDate } from "./times.ts";

/** A mail as the desk tells of it. The address is known for as long as it waits. */
export interface Letter {
  letter: string;
  case: number | null;
  draft: string | null;
  to: "claimant" | "streamer";
  address: string | null;
  subject: string;
  state: "waiting" | "failing" | "given-up" | "sent";
  put_us: number;
  tries: number;
  next_us: number | null;
  sent_us: number | null;
  problem: string;
}

/** How the mails of a case stand, in numbers. */
export interface Mails {
  waiting: number;
  failing: number;
  given_up: number;
}

const STATES: Record<Letter["state"], string> = { waiting: "waits", failing: "does not get through", "given-up": "given up", sent: "sent" };

/** How a mail stands. */
export const stands = ({ state }: Letter): string => STATES[state] ?? shown(state);

/** To whom it is; who has been sent a mail is known by the case alone. */
export function recipient({ to, address }: Letter): string {
  const who = to === "streamer" ? "the streamer" : "who complained";
  return address ? `${who} (${shown(address)})` : who;
}

const times = (count: number) => (count === 1 ? "once" : `${count} times`);

/** When it was written, tried and sent, and what went wrong the last time. */
export function course({ state, put_us, tries, next_us, sent_us, problem }: Letter, now_ms: number): string {
  const said = [`written ${writeDate(put_us)}`];
  if (sent_us !== null) said.push(`sent ${writeDate(sent_us)}`);
  if (tries > 0) said.push(`tried ${times(tries)} in vain`);
  if (state === "given-up") said.push("not tried again");
  if (next_us !== null) said.push(next_us / 1000 > now_ms ? `tried again ${fromNow(next_us, now_ms)}` : "tried now");
  return `${said.join(", ")}${problem ? `: ${shown(problem)}` : ""}`;
}

/** What the list says of a case's mails; nothing when they get through. */
export function trouble(mails: Mails | undefined): "failing" | "given-up" | null {
  if (!mails) return null;
  return mails.failing > 0 ? "failing" : mails.given_up > 0 ? "given-up" : null;
}

/** Those that do not get through. */
export const troubled = (letters: readonly Letter[]): Letter[] => letters.filter(({ state }) => state === "failing" || state === "given-up");
