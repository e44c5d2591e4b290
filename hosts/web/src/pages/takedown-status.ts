// How a report stands: by its link, which may also act, or by its receipt.

import { definitions, element, find, say } from "../dashboard/dom.ts";
import { ask, type Claim } from "../takedown/api.ts";
import { download } from "../takedown/download.ts";
import { shown } from "../takedown/shown.ts";
import { fromNow, writeDate } from "../takedown/times.ts";
import { done, fieldName, PROFILES, STATES } from "../takedown/words.ts";

const link = new URLSearchParams(location.hash.slice(1));
const token = link.get("token");
const RECEIPT_BYTES_MAX = 64 * 1024;
/** States in which the claimant can still take the report back. */
const OVER = ["closed", "restored", "rejected"];
let claim: Claim | null = null;

async function load(asked: () => Promise<Claim>): Promise<void> {
  say(find(".fault"), "");
  try {
    claim = await asked();
    show(claim);
  } catch (error) {
    say(find(".fault"), (error as Error).message);
  }
}

function show(now: Claim): void {
  find(".claim").hidden = false;
  find(".by-receipt").hidden = true;
  say(find("#claim-title"), `Case ${now.case}: ${STATES[now.state] ?? now.state}`);
  definitions(find(".facts"), facts(now));
  const lacks = now.asked.length > 0 ? now.asked : now.missing;
  find(".missing").replaceChildren(...(now.state === "deficient" ? lacks.map((path) => element("li", shown(fieldName(path)))) : []));
  const mine = token !== null;
  const complete = find<HTMLAnchorElement>(".complete");
  complete.hidden = !mine || now.state !== "deficient";
  complete.href = `../takedown#${link}`;
  find(".suit").hidden = !mine || !["actioned", "counter-received"].includes(now.state);
  find(".withdraw").hidden = !mine || OVER.includes(now.state);
  find(".acts .receipt").hidden = !now.receipt;
  say(find(".redress"), now.redress);
}

function facts(now: Claim): [string, string, string?][] {
  const when = (us: number) => `${writeDate(us)} (${fromNow(us, Date.now())})`;
  const rows: [string, string, string?][] = [
    ["Under", PROFILES[now.profile]],
    ["Received", when(now.received_us)],
    ["Last change", when(now.changed_us)],
  ];
  if (now.answer_by_us) rows.push(["Answer by", when(now.answer_by_us)]);
  if (now.decision) {
    rows.push(["Decision", now.decision.outcome === "accepted" ? "The report holds" : "The report was rejected"]);
    rows.push(["Why", shown(now.decision.reason)]);
    rows.push(["Decided by", now.decision.automated ? "a program, without a person" : "a person"]);
  }
  if (now.actions.length > 0) rows.push(["What is done", done(now.actions)]);
  if (now.counter) {
    rows.push(["Objection", when(now.counter.at_us)]);
    if (now.counter.name) rows.push(["By", shown(now.counter.name)]);
    if (now.counter.explanation) rows.push(["It says", shown(now.counter.explanation)]);
  }
  if (now.restore_from_us && now.restore_by_us) {
    rows.push(["Restored", `between ${writeDate(now.restore_from_us)} and ${writeDate(now.restore_by_us)}, unless you report a court action`]);
  }
  return rows;
}

function act(name: "withdraw" | "suit", body?: unknown): void {
  if (claim === null) return;
  const path = `cases/${claim.case}/${name}`;
  void load(() => ask<Claim>("POST", path, { token, body: body ?? {} }));
}

const sure = find<HTMLDialogElement>(".sure");
const court = find<HTMLDialogElement>(".court");
find(".withdraw").addEventListener("click", () => sure.showModal());
sure.addEventListener("close", () => sure.returnValue === "yes" && act("withdraw"));
find(".suit").addEventListener("click", () => court.showModal());
court.addEventListener("close", () => {
  if (court.returnValue !== "yes") return;
  const form = new FormData(court.querySelector("form")!);
  act("suit", Object.fromEntries(["court", "number", "explanation"].map((name) => [name, String(form.get(name) ?? "")])));
});
find(".acts .receipt").addEventListener("click", () => claim && download(`receipt-${claim.case}.json`, claim.receipt));
find<HTMLInputElement>("#receipt").addEventListener("change", (event) => {
  const file = (event.target as HTMLInputElement).files?.[0];
  if (!file) return;
  void load(async () => {
    if (file.size > RECEIPT_BYTES_MAX) throw new Error("This file is too large for a receipt.");
    let receipt: unknown;
    try {
      receipt = JSON.parse(await file.text());
    } catch {
      throw new Error("This file is no receipt.");
    }
    return ask<Claim>("POST", "status", { body: { receipt } });
  });
});
const number = link.get("case");
if (number !== null && token !== null) void load(() => ask<Claim>("GET", `cases/${encodeURIComponent(number)}`, { token }));
