// Words for states, rules and fields, for those who know neither the law nor this software.

import type { Done, Profile } from "./api.ts";

/** What the rules are called. */
export const PROFILES: Record<Profile, string> = {
  dmca: "Copyright (United States, DMCA)",
  dsa: "Illegal content (European Union, DSA)",
  "house-rules": "The rules of this site",
};

/** What a state means to who complained. */
export const STATES: Record<string, string> = {
  draft: "Not sent yet",
  "email-pending": "Waiting for you to follow the link in the mail",
  received: "Received",
  deficient: "Something is missing: please answer",
  screened: "Waiting for a person to decide",
  accepted: "Accepted; it is being carried out",
  rejected: "Rejected",
  actioned: "Done",
  "counter-received": "The streamer has objected",
  "suit-filed": "A court action was reported; what was hidden stays hidden",
  restored: "Restored: what was hidden can be seen again",
  closed: "Closed",
};

/** What was done, for people. */
export const ACTIONS: Record<string, string> = {
  "hide-range": "hide the time range",
  "stop-stream": "stop the live stream",
  "notify-publisher": "tell the streamer",
  strike: "count it against the streamer",
  restore: "restore",
};

/** What was done, as one line. */
export function done(actions: readonly Done[]): string {
  const word = ({ action, standing }: Done) => `${ACTIONS[action] ?? action}${standing === "undone" ? " (undone)" : ""}`;
  return actions.map(word).join(", ");
}

const FIELDS: Record<string, string> = {
  material: "Which part of the broadcast",
  "material.from_ms": "From when",
  "material.to_ms": "Until when",
  "material.where": "Where it is",
  work: "The work",
  "work.title": "What the work is called",
  "work.owner": "Whose work it is",
  explanation: "Why it is a problem",
  claimant: "Who you are",
  "claimant.name": "Your full legal name",
  "claimant.email": "Your e-mail address",
  "claimant.address": "Your postal address",
  "claimant.phone": "Your telephone number",
  "claimant.role": "Whether you are the owner or act for the owner",
  statements: "The statements",
  copy: "The copy of the work",
  executed_on: "The date",
  signature: "Your signature: your name, typed as above",
};

/** What a field is called in the form; the host names it by its path. */
export function fieldName(path: string): string {
  if (path.startsWith("statements.")) return `The statement “${path.slice("statements.".length)}”`;
  return FIELDS[path] ?? path;
}
