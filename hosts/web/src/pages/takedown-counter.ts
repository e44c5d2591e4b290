// What the streamer sees of complaints, and the objection to one.

import { definitions, element, find, say } from "../dashboard/dom.ts";
import { logIn } from "../dashboard/session.ts";
import { make } from "../dom.ts";
import { type Claim, ask, type Desk, type Notice, Refused, type Statement } from "../takedown/api.ts";
import { agreedTo } from "../takedown/notice.ts";
import { shown } from "../takedown/shown.ts";
import { fromNow, writeDate, writeTime } from "../takedown/times.ts";
import { done, PROFILES, STATES } from "../takedown/words.ts";

/** A case as the streamer sees it. */
type Complaint = Claim & { notice?: Notice };
const OWN_PAGE = { "x-peerstream-dashboard": "1" };
/** The streamer's API is the dashboard's. */
const LIST = "../dashboard/takedowns";

const form = find<HTMLFormElement>(".counter");
let statements: Statement[] = [];
let today = "";
let chosen: Complaint | null = null;

async function begin(): Promise<void> {
  try {
    const { strikes, cases } = await ask<{ strikes: number; cases: Complaint[] }>("GET", LIST, { headers: OWN_PAGE });
    find(".login").hidden = true;
    say(find(".state"), cases.length === 0 ? "Nobody has complained." : `${cases.length} reports, ${strikes} counted against you.`);
    const desk = await ask<Desk>("GET", "");
    [statements, today] = [desk.statements.counter ?? [], desk.today];
    find(".cases").replaceChildren(...cases.map(card));
  } catch (error) {
    const login = error instanceof Refused && (error.status === 401 || error.status === 403);
    find(".login").hidden = !login;
    say(find(".state"), login ? "Log in to see reports about your broadcasts" : (error as Error).message);
  }
}

function card(complaint: Complaint): HTMLElement {
  const title = `Case ${complaint.case}: ${STATES[complaint.state] ?? complaint.state}`;
  const list = make("dl");
  definitions(list, rows(complaint));
  const panel = make("section", { class: "panel", "aria-label": `Case ${complaint.case}` }, element("h2", title), list);
  if (complaint.state === "actioned") {
    const button = make("button", { type: "button" }, "Object");
    button.addEventListener("click", () => open(complaint));
    panel.append(make("p", {}, button));
  }
  return panel;
}

function rows({ profile, received_us, notice, decision, actions, counter, restore_by_us }: Complaint): [string, string][] {
  const { material, work, claimant, explanation } = notice ?? {};
  const range = material?.from_ms !== undefined && material.to_ms !== undefined ? `${writeTime(material.from_ms)} to ${writeTime(material.to_ms)}` : "";
  const all: [string, string][] = [
    ["Under", PROFILES[profile]],
    ["Received", writeDate(received_us)],
    ["About", range],
    ["Where", shown(material?.where)],
    ["Work", shown(work?.title)],
    ["It says", shown(explanation)],
    ["From", shown(claimant?.name)],
    ["Decision", decision ? shown(decision.reason) : ""],
    ["What is done", done(actions)],
    ["You have objected", counter ? writeDate(counter.at_us) : ""],
    ["Restored by", restore_by_us ? `${writeDate(restore_by_us)} (${fromNow(restore_by_us, Date.now())}), unless a court action is reported` : ""],
  ];
  return all.filter(([, value]) => value !== "");
}

function open(complaint: Complaint): void {
  chosen = complaint;
  const sworn = complaint.profile === "dmca";
  form.hidden = false;
  say(find("#counter-title"), `Object to case ${complaint.case}`);
  say(find(".what"), sworn ? "A counter-notice under 17 U.S.C. § 512(g)(3). All of it is demanded by law." : "Say why the decision is wrong.");
  find(".sworn").hidden = !sworn;
  find(".boxes").replaceChildren(
    ...statements.map(({ id, text }) => make("label", { class: "box" }, make("input", { type: "checkbox", "data-statement": id }), element("span", text))),
  );
  form.querySelector("textarea")!.focus();
}

async function send(): Promise<void> {
  if (chosen === null) return;
  const fault = find(".counter .fault");
  say(fault, "");
  const data = new FormData(form);
  const fields = Object.fromEntries(["name", "address", "phone", "email", "explanation", "signature"].map((name) => [name, String(data.get(name) ?? "").trim()]));
  const ticked = new Set([...form.querySelectorAll<HTMLInputElement>("[data-statement]:checked")].map((input) => input.dataset["statement"]));
  const agreed = statements.filter(({ id }) => ticked.has(id)).map(agreedTo);
  try {
    const body = { ...fields, statements: agreed, executed_on: agreed.length > 0 ? today : "" };
    await ask("POST", `${LIST}/${chosen.case}/counter`, { headers: OWN_PAGE, body });
    form.hidden = true;
    form.reset();
    await begin();
  } catch (error) {
    const field = error instanceof Refused ? error.field : null;
    say(fault, field ? `${field}: ${(error as Error).message}` : (error as Error).message);
  }
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  void send();
});
find(".cancel").addEventListener("click", () => (form.hidden = true));
find<HTMLFormElement>(".login").addEventListener("submit", (event) => {
  event.preventDefault();
  const input = find<HTMLInputElement>("#secret");
  void logIn(input.value).then((why) => {
    say(find(".login .fault"), why ?? "");
    if (why === null) void begin();
  });
});
void begin();
