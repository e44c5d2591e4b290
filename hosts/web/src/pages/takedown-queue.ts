// The operator's desk: the list of cases, one case with all that is known, and what can be done about it. Everything has a key.

import { definitions, element, find, say } from "../dashboard/dom.ts";
import { make } from "../dom.ts";
import { addressOf, type Notice, type Profile, Refused } from "../takedown/api.ts";
import { cases, desk, type Entry, type Filter, type Row, type Session, type Unconfirmed, type Whole } from "../takedown/desk.ts";
import { course, type Letter, recipient, stands, trouble, troubled } from "../takedown/letters.ts";
import { allowed, type Ask, type Order, ORDERS } from "../takedown/orders.ts";
import { shown } from "../takedown/shown.ts";
import { fromNow, writeDate, writeTime } from "../takedown/times.ts";
import { PROFILES, STATES } from "../takedown/words.ts";

/** Rows that are asked for at once. */
const PAGE = 50;
/** The list is asked for anew this often, in milliseconds. */
const AGAIN_MS = 15_000;
const STATE_WORDS: Record<string, string> = { ...STATES, deficient: "Asked, waits for an answer", "email-pending": "Mail not confirmed", screened: "Waits for you" };
const MAIL_WORDS = { failing: "does not get through", "given-up": "given up" } as const;
const COPY_WORDS: Record<string, string> = { match: "matches", unclear: "unclear", mismatch: "does not match", "not-compared": "not compared" };

const table = find<HTMLTableSectionElement>("tbody" as "main");
const order = find<HTMLDialogElement>(".order");
let rows: Row[] = [];
let chosen = 0;
let open: Whole | null = null;
/** Whether this host sends mails. */
let mailed = false;

async function begin(): Promise<void> {
  try {
    const session = await desk<Session>("GET", "session");
    showDesk(session);
    await list();
  } catch (error) {
    const login = error instanceof Refused && (error.status === 401 || error.status === 403);
    find(".login").hidden = !login;
    find(".desk").hidden = true;
    say(find(".state"), login ? "Log in to see reports" : (error as Error).message);
  }
}

function showDesk({ profiles, mail }: Session): void {
  mailed = mail;
  find(".login").hidden = true;
  for (const name of [".desk", ".keys", ".leave", ".log", ".enter"]) find(name).hidden = false;
  find<HTMLAnchorElement>(".log").href = addressOf("desk/log?from=0");
  const select = find<HTMLSelectElement>(".by-profile");
  if (select.options.length === 1) for (const profile of profiles) select.append(make("option", { value: profile }, PROFILES[profile]));
}

function filter(): Filter {
  const value = (name: string) => find<HTMLInputElement | HTMLSelectElement>(name).value;
  return { state: value(".by-state"), profile: value(".by-profile"), text: value(".by-text").trim() };
}

async function list(more = false): Promise<void> {
  const told = await cases(filter(), more ? rows.length : 0, more ? PAGE : Math.max(PAGE, rows.length));
  const was = rows[chosen]?.case;
  rows = more ? [...rows, ...told.cases] : told.cases;
  const at = rows.findIndex((row) => row.case === was);
  chosen = Math.max(0, at === -1 ? Math.min(chosen, rows.length - 1) : at);
  find(".more").hidden = !told.more;
  find(".none").hidden = rows.length > 0;
  const waits = told.counts["screened"] ?? 0;
  say(find(".state"), waits === 1 ? "1 case waits for you" : `${waits} cases wait for you`);
  showList();
  await listUnconfirmed();
  await listMails();
}

/** Mails that do not get through, of whatever case: one that is decided may not be in the list any more. */
async function listMails(): Promise<void> {
  const { letters } = await desk<{ letters: Letter[] }>("GET", "letters");
  const failing = troubled(letters);
  const now = Date.now();
  find(".troubled").hidden = failing.length === 0;
  say(find(".troubled summary"), failing.length === 1 ? "1 mail does not get through" : `${failing.length} mails do not get through`);
  const place = find(".troubled ul");
  const known = JSON.stringify(failing.map(({ letter, tries, state }) => [letter, tries, state]));
  if (place.dataset["shown"] === known) return;
  // Who is on one of its buttons stays on it.
  const held = (document.activeElement as HTMLElement | null)?.closest<HTMLElement>(".troubled button")?.dataset["letter"];
  place.dataset["shown"] = known;
  place.replaceChildren(
    ...failing.map((letter) => {
      const line = mailLine(letter, now);
      const id = letter.case;
      if (id === null) return line;
      const button = make("button", { type: "button", "data-letter": letter.letter }, `Open case ${id}`);
      button.addEventListener("click", () => void show(id).then(toCase));
      line.append(" ", button);
      return line;
    }),
  );
  if (held) [...place.querySelectorAll("button")].find((button) => button.dataset["letter"] === held)?.focus();
}

/** A mail in a list: how it stands, what it is about, to whom it is, and what has become of it. */
function mailLine(letter: Letter, now_ms: number): HTMLElement {
  return make("li", {}, mark(stands(letter), letter.state), ` ${shown(letter.subject)}, to ${recipient(letter)}, ${course(letter, now_ms)}`);
}

/** Notices of which nobody knows yet whether they are their sender's own; the operator may know. */
async function listUnconfirmed(): Promise<void> {
  const { drafts } = await desk<{ drafts: Unconfirmed[] }>("GET", "drafts");
  find(".unconfirmed").hidden = drafts.length === 0;
  const lines = drafts.map(({ draft, expires_us, notice }) => {
    const who = `${shown(notice.claimant?.name)} (${shown(notice.claimant?.email)}): ${shown(notice.work?.title || notice.explanation)}`;
    const button = make("button", { type: "button" }, "Confirm");
    button.addEventListener("click", () => {
      desk("POST", `drafts/${encodeURIComponent(draft)}/confirm`, {}).then(() => list(), fault);
    });
    return make("li", {}, `${who}, until ${writeDate(expires_us)} `, button);
  });
  const place = find(".unconfirmed ul");
  const known = drafts.map(({ draft }) => draft).join();
  if (place.dataset["shown"] === known) return;
  place.dataset["shown"] = known;
  place.replaceChildren(...lines);
}

function showList(): void {
  const now = Date.now();
  table.replaceChildren(
    ...rows.map((row, index) => {
      const selected = index === chosen;
      const line = make("tr", { "aria-selected": String(selected), "data-case": String(row.case) });
      const due = element("span", row.due_us ? fromNow(row.due_us, now) : "", row.due_us && row.due_us / 1000 < now ? "mark late" : "");
      const failing = trouble(row.mails);
      const mail = failing ? mark(MAIL_WORDS[failing], failing) : "";
      const copy = row.comparison ? mark(COPY_WORDS[row.comparison] ?? row.comparison, row.comparison) : "";
      const button = make("button", { type: "button", tabindex: selected ? "0" : "-1", "aria-label": `Open case ${row.case}` }, String(row.case));
      button.addEventListener("click", () => (select(index), void show(row.case)));
      const cells = [button, STATE_WORDS[row.state] ?? row.state, mark(row.lane, row.lane), due, shown(row.title || row.claimant), copy, mail];
      line.append(...cells.map((cell) => make("td", {}, cell)));
      return line;
    }),
  );
}

function mark(text: string, sort: string): HTMLElement {
  return element("span", text, `mark ${sort.replace(/[^a-z-]/g, "")}`);
}

function select(index: number): void {
  if (rows.length === 0) return;
  chosen = Math.min(rows.length - 1, Math.max(0, index));
  showList();
  const line = table.children[chosen];
  line?.scrollIntoView({ block: "nearest" });
  line?.querySelector("button")?.focus();
}

async function show(id: number): Promise<void> {
  try {
    const whole = await desk<Whole>("GET", `cases/${id}`);
    if (whole.case.id !== open?.case.id || Boolean(whole.case.evidence) !== Boolean(open.case.evidence)) showExcerpt(whole);
    open = whole;
    showCase(whole);
  } catch (error) {
    fault(error);
  }
}

/** Moves the focus to the case, but not away from where somebody has begun to write meanwhile. */
function toCase(): void {
  if (!document.activeElement?.closest("input, textarea, select, dialog")) find(".case").focus();
}

function fault(error: unknown): void {
  const changed = error instanceof Refused && error.status === 409;
  say(find(".case .fault"), changed ? `${(error as Error).message} The case is shown as it is now.` : (error as Error).message);
  if (changed && open) void show(open.case.id);
  if (error instanceof Refused && error.status === 401) void begin();
}

function stateOf({ case: it }: Whole): string {
  return typeof it.state === "string" ? it.state : (rows.find((row) => row.case === it.id)?.state ?? "");
}

function showCase(whole: Whole): void {
  const { case: it, steps, entries, statements, counter, suit } = whole;
  const state = stateOf(whole);
  find(".hint").hidden = true;
  find(".whole").hidden = false;
  say(find("#case-title"), `Case ${it.id}: ${STATE_WORDS[state] ?? state}`);
  say(find(".case .fault"), "");
  find(".steps").replaceChildren(...allowed(steps, state).map(orderButton));
  definitions(find(".facts"), facts(whole));
  definitions(find(".claimed"), claimed(it.notice));
  definitions(find(".claimant"), claimant(it.notice, whole));
  definitions(find(".statements"), statements.map(({ id, version, text }) => [`${shown(id)}, version ${version}`, shown(text)]));
  showSaid(".counter", counter);
  showSaid(".suit", suit);
  showLetters(whole.letters);
  find(".entries").replaceChildren(...entries.map(entry));
  for (const [name, path] of [["lumen", "lumen"], ["evidence", "evidence"], ["copy", "copy"]] as const) {
    const link = find<HTMLAnchorElement>(`.files .${name}`);
    link.href = addressOf(`desk/cases/${it.id}/${path}`);
    link.hidden = name === "evidence" ? !it.evidence?.bundle : name === "copy" && !it.copy;
  }
}

function showLetters(letters: Letter[]): void {
  const now = Date.now();
  find(".letters").replaceChildren(...letters.map((letter) => mailLine(letter, now)));
  find(".no-letters").hidden = letters.length > 0;
  say(find(".no-letters"), mailed ? "None." : "This host sends no mails: no mail server is named in its config.");
}

function orderButton(one: Order): HTMLElement {
  const button = make("button", { type: "button", "aria-keyshortcuts": one.key }, one.label, " ", make("kbd", {}, one.key));
  button.addEventListener("click", () => ask(one));
  return button;
}

/** The excerpt is what was broadcast, signed by the streamer: it is played as media and never as anything else. */
function showExcerpt({ case: it }: Whole): void {
  const place = find(".excerpt");
  place.replaceChildren();
  if (!it.evidence?.bundle) {
    const why = it.evidence?.faults.map(shown).join("; ");
    place.append(element("p", `There is no excerpt${why ? `: ${why}` : " yet"}.`, "note"));
    return;
  }
  const video = make("video", { controls: true, preload: "metadata", src: addressOf(`desk/cases/${it.id}/excerpt`), "aria-label": `The excerpt of case ${it.id}` });
  video.addEventListener("error", () => video.replaceWith(element("p", "This browser cannot play the excerpt. Download the evidence bundle.", "note")));
  place.append(video);
}

type Lines = [title: string, value: string, note?: string][];
const filled = (lines: Lines): Lines => lines.filter(([, value]) => value !== "");
const date = (value: unknown) => (typeof value === "number" && value > 0 ? `${writeDate(value)} (${fromNow(value, Date.now())})` : "");

function facts({ case: it, strikes }: Whole): Lines {
  const row = rows.find((one) => one.case === it.id);
  const comparison = it["comparison"] as { verdict?: string; detail?: string; tools?: string[] } | null | undefined;
  const compared = comparison?.verdict ? `${COPY_WORDS[comparison.verdict] ?? shown(comparison.verdict)}. ${shown(comparison.detail)}` : "";
  return filled([
    ["Under", PROFILES[it.notice.profile as Profile] ?? shown(it.notice.profile)],
    ["Received", date(it["received_us"] ?? row?.received_us)],
    ["Due", date(it["due_us"] ?? row?.due_us)],
    ["Answer by", date(it["answer_by_us"])],
    ["Restore from", date(it["restore_from_us"])],
    ["Restore by", date(it["restore_by_us"])],
    ["Broadcast", String(it["epoch"] ?? "")],
    ["Faults in the evidence", it.evidence?.bundle ? list_(it.evidence.faults) : ""],
    ["Lacks", list_(it["missing"])],
    ["Asked for", list_(it["asked"])],
    ["The copy", compared, (comparison?.tools ?? []).map(shown).join("; ")],
    ["Strikes of the streamer", String(strikes)],
  ]);
}

const list_ = (value: unknown) => (Array.isArray(value) ? value.map(shown).join(", ") : "");

function claimed({ material, work, explanation }: Notice): Lines {
  const { from_ms, to_ms, first_seq, end_seq, where } = material ?? {};
  return filled([
    ["Time", from_ms != null && to_ms != null ? `${writeTime(from_ms)} to ${writeTime(to_ms)}` : ""],
    ["Segments", first_seq != null && end_seq != null ? `${first_seq} to ${end_seq - 1}` : ""],
    ["Where", shown(where)],
    ["Work", shown(work?.title)],
    ["Owner", shown(work?.owner)],
    ["Kind", shown(work?.kind)],
    ["Registration", shown(work?.registration)],
    // Not a link: it is a stranger's.
    ["Seen at", shown(work?.url)],
    ["Explanation", shown(explanation)],
  ]);
}

function claimant({ claimant: who, signature, executed_on }: Notice, { case: it }: Whole): Lines {
  const rejected = rows.find((row) => row.case === it.id)?.claimant_rejected ?? 0;
  return filled([
    ["Name", shown(who?.name)],
    ["Organisation", shown(who?.organisation)],
    ["As", who?.role === "agent" ? "agent of the owner" : shown(who?.role)],
    ["E-mail", shown(who?.email)],
    ["Address", shown(who?.address)],
    ["Telephone", shown(who?.phone)],
    ["Country", shown(who?.country)],
    ["Signature", shown(signature)],
    ["Executed on", shown(executed_on)],
    ["Rejected before", rejected > 0 ? String(rejected) : ""],
  ]);
}

/** An objection or a court action, field by field. */
function showSaid(name: string, said: Record<string, unknown> | null): void {
  find(`${name}-part`).hidden = said === null;
  const lines = Object.entries(said ?? {}).map(([field, value]): Lines[number] => [field, typeof value === "string" ? shown(value) : ""]);
  definitions(find(name), filled(lines));
}

function entry(it: Entry): HTMLElement {
  const { at_us, hash, ...rest } = it;
  const line = element("li", at_us ? `${writeDate(at_us)} ` : "");
  line.append(shown(JSON.stringify(rest)), " ", element("code", shown(hash).slice(0, 12)));
  return line;
}

/** What is asked before an order is carried out. */
function ask(one: Order): void {
  if (open === null || order.open) return;
  const { notice, id, revision, evidence } = open.case;
  const fields = one.asks(notice, evidence?.times_ms ?? null).map(question);
  say(find("#order-title"), `${one.label}: case ${id}`);
  say(find(".order-note"), one.note);
  say(find(".order-yes"), one.label);
  find(".order-fields").replaceChildren(...fields.map(({ line }) => line));
  order.returnValue = "";
  order.onclose = () => {
    if (order.returnValue !== "yes") return;
    const answers = new Map(fields.flatMap(({ name, read }) => (read() === null ? [] : [[name, read()!] as const])));
    void carryOut(one, id, revision, answers);
  };
  order.showModal();
  order.querySelector<HTMLElement>(".order-fields :is(textarea, input)")?.focus();
}

async function carryOut(one: Order, id: number, revision: number, answers: Map<string, string>): Promise<void> {
  try {
    const [path, body] = one.tell(answers);
    await desk("POST", `cases/${id}/${path}`, { ...body, revision });
    await list();
    await show(id);
    toCase();
  } catch (error) {
    fault(error);
  }
}

function question({ name, label, sort, value = "", ticked = false, required = false }: Ask): { name: string; line: HTMLElement; read: () => string | null } {
  if (sort === "tick") {
    const input = make("input", { type: "checkbox", name, checked: ticked });
    return { name, line: make("label", { class: "box" }, input, element("span", label)), read: () => (input.checked ? "yes" : null) };
  }
  const input = sort === "text" ? make("textarea", { rows: "3", name, required, maxlength: "4000" }) : make("input", { name, required, maxlength: "300", autocomplete: "off" });
  input.value = value;
  return { name, line: make("label", {}, label, input), read: () => input.value.trim() };
}

/** A notice that came by post or mail. */
const ENTER: Order = {
  step: null,
  key: "e",
  label: "Enter a notice",
  note: "A notice that came by post or mail. What it lacks can be asked for.",
  asks: () => [
    { name: "profile", label: "Rules: dmca, dsa or house-rules", sort: "line", value: "dmca", required: true },
    { name: "work", label: "Work", sort: "text" },
    { name: "where", label: "Where in the broadcast, in words", sort: "text" },
    { name: "explanation", label: "What it says", sort: "text" },
    { name: "name", label: "Who claims it", sort: "line" },
    { name: "address", label: "Postal address", sort: "line" },
    { name: "email", label: "E-mail address", sort: "mail" },
    { name: "signature", label: "Signed by", sort: "line" },
  ],
  tell: (answers) => {
    const get = (name: string) => answers.get(name) ?? "";
    const notice = {
      profile: get("profile"),
      material: { where: get("where") },
      work: { title: get("work") },
      explanation: get("explanation"),
      claimant: { name: get("name"), address: get("address"), email: get("email") },
      signature: get("signature"),
    };
    return ["", { notice, channel: "post" }];
  },
};

function enter(): void {
  if (order.open) return;
  const fields = ENTER.asks({ profile: "dmca" }, null).map(question);
  say(find("#order-title"), ENTER.label);
  say(find(".order-note"), ENTER.note);
  say(find(".order-yes"), ENTER.label);
  find(".order-fields").replaceChildren(...fields.map(({ line }) => line));
  order.returnValue = "";
  order.onclose = () => {
    if (order.returnValue !== "yes") return;
    const answers = new Map(fields.map(({ name, read }) => [name, read() ?? ""] as const));
    desk<{ case?: number }>("POST", "cases", ENTER.tell(answers)[1]).then(() => list(), fault);
  };
  order.showModal();
}

function help(): void {
  const keys: [string, string][] = [["j, k", "Next and previous case"], ["Enter", "Open the case"], ["/", "Search"], ["g", "Load the list again"], ["p", "Play or stop the excerpt"], ["l", "The mails of the case"], ["e", ENTER.label]];
  definitions(find(".help-keys"), [...keys, ...ORDERS.map(({ key, label }): [string, string] => [key, label])]);
  find<HTMLDialogElement>(".help").showModal();
}

/** Keys without anything else; never while somebody writes, and never beside those of the browser. */
function pressed(event: KeyboardEvent): void {
  const target = event.target as HTMLElement;
  if (event.ctrlKey || event.altKey || event.metaKey || target.closest("input, textarea, select, dialog") || find(".desk").hidden) return;
  const keys: Record<string, () => void> = {
    j: () => select(chosen + 1),
    k: () => select(chosen - 1),
    g: () => void list().catch(fault),
    "/": () => find(".by-text").focus(),
    "?": help,
    e: enter,
    p: play,
    l: () => open && find("#letters-title").focus(),
  };
  const row = rows[chosen];
  // On a button Enter presses the button, and it opens what is folded.
  if (row && !target.closest("button, a, video, summary")) keys["Enter"] = () => void show(row.case);
  const one = open ? allowed(open.steps, stateOf(open)).find(({ key }) => key === event.key) : undefined;
  const act = keys[event.key] ?? (one && (() => ask(one)));
  if (!act) return;
  event.preventDefault();
  act();
}

function play(): void {
  const video = document.querySelector<HTMLVideoElement>(".excerpt video");
  if (video) void (video.paused ? video.play().catch(() => undefined) : video.pause());
}

document.addEventListener("keydown", pressed);
find(".enter").addEventListener("click", enter);
find(".keys").addEventListener("click", help);
find(".more").addEventListener("click", () => void list(true).catch(fault));
for (const name of [".by-state", ".by-profile", ".by-text"]) find(name).addEventListener("change", () => void list().catch(fault));
find(".leave").addEventListener("click", () => void desk("POST", "logout").then(() => location.reload(), fault));
find<HTMLFormElement>(".login").addEventListener("submit", (event) => {
  event.preventDefault();
  const input = find<HTMLInputElement>("#secret");
  desk("POST", "login", { secret: input.value }).then(
    () => {
      input.value = "";
      void begin();
    },
    (error: unknown) => {
      const wrong = error instanceof Refused && error.status === 401;
      say(find(".login .fault"), wrong ? "That is not the password, nor the token." : (error as Error).message);
    },
  );
});
setInterval(() => {
  if (!find(".desk").hidden && !order.open && !document.hidden) void list().catch(fault);
}, AGAIN_MS);
void begin();
