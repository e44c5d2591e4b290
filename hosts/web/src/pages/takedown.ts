// The form for complaints: from the fields to a receipt.

import { type Agreed, ask, type Claim, type Desk, type Notice, type Profile, Refused, type Statement } from "../takedown/api.ts";
import { element, find, say } from "../dashboard/dom.ts";
import { make } from "../dom.ts";
import { fetchRecordings, type Recording } from "../recordings.ts";
import { download } from "../takedown/download.ts";
import { agreedTo, type Fields, gather, Misread, scatter } from "../takedown/notice.ts";
import { remember } from "../takedown/pending.ts";
import { Picker } from "../takedown/picker.ts";
import { proof } from "../takedown/proof.ts";
import { broadcastMs, RANGE_MS_MAX, rangeOf, readRange, recordingS, type Span } from "../takedown/range.ts";
import { readTime, writeDate, writeTime } from "../takedown/times.ts";
import { upload } from "../takedown/upload.ts";
import { fieldName } from "../takedown/words.ts";
import { Tape } from "../tape.ts";

/** What a player in the page tells, as far as it is needed here. */
type PlayerElement = HTMLElement & { video: HTMLVideoElement };
/** A draft on the host. */
interface Draft {
  draft: string;
  token: string;
  missing: string[];
}

const form = find<HTMLFormElement>("#form");
const send = find<HTMLButtonElement>(".send");
const query = new URLSearchParams(location.search);
/** An answer to a case that lacks something, from the link in the status page: `#case=7&token=...`. */
const answering = new URLSearchParams(location.hash.slice(1));

let desk: Desk | null = null;
let draft: Draft | null = null;
let player: PlayerElement | null = null;
/** What the host has recorded of the broadcast that the report is about. */
let recording: Recording | null = null;
let taped: { tape: Tape; video: HTMLVideoElement; picker: Picker } | null = null;
/** What the reader was told is missing; who sends it all the same is not told twice. */
let told = "";

const field = (name: string) => form.elements.namedItem(name) as HTMLInputElement | HTMLTextAreaElement | HTMLSelectElement | null;

async function begin(): Promise<void> {
  try {
    desk = await ask<Desk>("GET", "");
  } catch (error) {
    const off = error instanceof Refused && error.code === "off";
    return say(find(".state"), off ? "This host takes no reports here." : (error as Error).message);
  }
  say(find(".state"), "");
  form.hidden = false;
  for (const choice of form.querySelectorAll<HTMLInputElement>("[name=profile]")) {
    const offered = desk.profiles.includes(choice.value as Profile);
    choice.closest<HTMLElement>("label")!.hidden = !offered;
  }
  showAgent(desk);
  prefill(desk);
  if (answering.has("case")) await showAnswer();
  await findRecording();
}

function showAgent({ agent }: Desk): void {
  const lines = agent ? [agent.name, agent.address, agent.phone, agent.email].filter((line) => line !== "") : [];
  find(".agent").hidden = lines.length === 0;
  say(find(".agent address"), lines.join("\n"));
}

/** "Report this moment" in the player, and what was picked on a recording's page, fill what they know. */
function prefill({ epoch, title, started_us }: Desk): void {
  const named = query.get("epoch") ?? "";
  const asked = /^\d{1,15}$/.test(named) ? Number(named) : epoch;
  field("material.epoch")!.value = String(asked);
  const { times_ms, segments } = readRange(query);
  if (times_ms) writeTimes(times_ms);
  if (segments) showSegments(...segments);
  const which = asked === epoch ? `The present broadcast${title ? `, “${title}”` : ""}, which began ${writeDate(started_us)}.` : `The broadcast ${asked}.`;
  say(find(".broadcast"), which);
}

function writeTimes([from, to]: [number, number]): void {
  field("material.from_ms")!.value = writeTime(from);
  field("material.to_ms")!.value = writeTime(to);
}

function showSegments(first: number, end: number): void {
  field("material.first_seq")!.value = String(first);
  field("material.end_seq")!.value = String(end);
  const line = find(".segments");
  line.hidden = false;
  say(line, `The player has also noted which signed segments these are: ${first} to ${end - 1}. Changing the times forgets them.`);
}

function forgetSegments(): void {
  field("material.first_seq")!.value = field("material.end_seq")!.value = "";
  find(".segments").hidden = true;
}

/** The case is shown as it was sent in, to be completed. */
async function showAnswer(): Promise<void> {
  const claim = await ask<Claim>("GET", `cases/${encodeURIComponent(answering.get("case")!)}`, { token: answering.get("token") });
  say(find("h1"), `Complete the report ${claim.case}`);
  send.textContent = "Send the completed report";
  find(".copy").hidden = true;
  for (const [name, value] of claim.notice ? scatter(claim.notice) : new Map<string, string>()) {
    const input = field(name);
    if (input) input.value = value;
  }
  const radio = form.querySelector<HTMLInputElement>(`[name=profile][value="${CSS.escape(claim.profile)}"]`);
  if (radio) radio.checked = true;
  for (const choice of form.querySelectorAll<HTMLInputElement>("[name=profile]")) choice.disabled = true;
  arrange();
  showMissing(claim.asked.length > 0 ? claim.asked : claim.missing);
}

function profile(): Profile | null {
  return (form.querySelector<HTMLInputElement>("[name=profile]:checked")?.value as Profile | undefined) ?? null;
}

/** Shows what the chosen rules need. */
function arrange(): void {
  const chosen = profile();
  find("#rest").hidden = chosen === null;
  if (chosen === null || desk === null) return;
  for (const part of form.querySelectorAll<HTMLElement>("#rest [data-for]")) {
    if (part.matches(".now")) continue;
    part.hidden = !part.dataset["for"]!.split(" ").includes(chosen);
  }
  say(find(".explain"), EXPLAIN[chosen]);
  const statements = desk.statements[chosen] ?? [];
  find("#statements").hidden = statements.length === 0;
  find(".boxes").replaceChildren(...statements.map(box));
  const { copy_bytes_max } = desk;
  say(find(".copy-note"), `Sound or video, at most ${Math.floor(copy_bytes_max / 1024 / 1024)} MB.`);
  showMissing([]);
}

const EXPLAIN: Record<Profile, string> = {
  dmca: "Anything that helps to find and to judge it; may be left empty",
  dsa: "Why it is illegal, with the law that you think of if you know it",
  "house-rules": "Which rule is broken, and how",
};

/** Never ticked beforehand: what is agreed to is the reader's own doing. */
function box(statement: Statement): HTMLElement {
  const input = make("input", { type: "checkbox", "data-statement": statement.id });
  const line = make("label", { class: "box", "data-optional": !statement.required }, input, element("span", statement.text));
  return line;
}

function agreed(): Agreed[] {
  const ticked = new Set([...form.querySelectorAll<HTMLInputElement>("[data-statement]:checked")].map((input) => input.dataset["statement"]));
  const statements = desk?.statements[profile() ?? "dmca"] ?? [];
  return statements.filter(({ id }) => ticked.has(id)).map(agreedTo);
}

function fields(): Fields {
  const all: Fields = new Map();
  for (const input of form.querySelectorAll<HTMLInputElement>("[name]")) {
    const part = input.closest<HTMLElement>("[data-for]");
    if (input.name !== "profile" && !part?.hidden) all.set(input.name, input.value);
  }
  return all;
}

/** The moment in the player, or without it the present one, in milliseconds since the broadcast began. */
function now(): number {
  if (taped) return broadcastMs(taped.tape.playlist.parts, taped.video.currentTime);
  const { video } = player ?? {};
  if (video && video.currentTime > 0) return Math.round(video.currentTime * 1000);
  return desk ? Math.max(0, (desk.now_us - desk.started_us) / 1000 + performance.now() - asked_at) : 0;
}
const asked_at = performance.now();

/** The player is loaded only when it is wanted: who complains need not receive the stream, and does not relay it. */
async function openPlayer(): Promise<void> {
  find<HTMLButtonElement>(".watch").disabled = true;
  const script = make("script", { type: "module", src: new URL("peerstream.js", import.meta.url).href });
  document.head.append(script);
  await customElements.whenDefined("peerstream-player");
  player = make("peerstream-player" as "div", { src: new URL(".", import.meta.url).href, relay: "off" }) as unknown as PlayerElement;
  find(".player").replaceChildren(player);
}

/** Who has a recording to look at picks the part on it. */
async function findRecording(): Promise<void> {
  const all = await fetchRecordings(new URL(".", import.meta.url).href);
  recording = all.find(({ starts_ms }) => String(starts_ms) === field("material.epoch")!.value) ?? null;
  if (recording && !player) say(find(".watch"), "Pick the part on the recording");
}

function openRecording({ hls }: Recording): void {
  find<HTMLButtonElement>(".watch").disabled = true;
  const video = make("video", { controls: true, playsinline: true, "aria-label": "Recording" });
  const tape = new Tape(video, new URL(hls, new URL(".", import.meta.url)).href);
  const picker = new Picker(video, RANGE_MS_MAX / 1000, take);
  taped = { tape, video, picker };
  find(".player").replaceChildren(video, picker.element);
  addEventListener("pagehide", () => tape.close());
  video.addEventListener("loadedmetadata", showPicked, { once: true });
  tape.play().catch((error: Error) => say(find(".fault"), error.message));
}

/** What is picked goes into the fields. */
function take(span: Span): void {
  const range = rangeOf(taped?.tape.playlist.parts ?? [], span);
  if (!range) return;
  writeTimes(range.times_ms);
  if (range.segments) showSegments(...range.segments);
  else forgetSegments();
}

/** What is in the fields is shown on the recording. */
function showPicked(): void {
  const [from, to] = [field("material.from_ms")!, field("material.to_ms")!].map(({ value }) => readTime(value));
  if (!taped || from == null || to == null || to <= from) return;
  const { parts } = taped.tape.playlist;
  taped.picker.set({ from: recordingS(parts, from), to: recordingS(parts, to) });
  if (taped.video.paused) taped.video.currentTime = recordingS(parts, from);
}

function showMissing(missing: string[]): void {
  find(".missing").replaceChildren(...missing.map((path) => element("li", fieldName(path))));
  for (const marked of form.querySelectorAll("[aria-invalid]")) marked.removeAttribute("aria-invalid");
  for (const path of missing) mark(path);
}

function mark(path: string): void {
  const id = path.replace("statements.", "");
  const input = field(path) ?? form.querySelector(`[data-statement="${CSS.escape(id)}"]`);
  if (input instanceof HTMLElement) input.setAttribute("aria-invalid", "true");
}

function fault(error: unknown): void {
  const path = error instanceof Misread || error instanceof Refused ? error.field : null;
  const message = (error as Error).message;
  say(find(".fault"), path ? `${fieldName(path)}: ${message}` : message);
  if (!path) return;
  mark(path);
  (field(path) as HTMLElement | null)?.focus();
}

async function submit(): Promise<void> {
  const chosen = profile();
  if (chosen === null || desk === null) return;
  say(find(".fault"), "");
  send.disabled = true;
  try {
    const notice = gather(chosen, fields(), agreed(), desk.today);
    const case_ = answering.get("case");
    if (case_ !== null) {
      const claim = await ask<Claim>("PUT", `cases/${encodeURIComponent(case_)}`, { body: notice, token: answering.get("token") });
      return finish(claim, answering.get("token"));
    }
    await draftOf(notice);
    if (!confirmedMissing()) return;
    await sendCopy();
    say(find(".progress"), "Sending the report");
    const { draft: id, token } = draft!;
    const claim = await ask<Claim & { confirm_by_us?: number }>("POST", `drafts/${id}/submit`, { token });
    finish(claim, token);
  } catch (error) {
    if (error instanceof Refused && (error.code === "unknown" || error.code === "expired")) draft = null;
    fault(error);
  } finally {
    send.disabled = false;
    say(find(".progress"), "");
  }
}

/** The first time a proof of work is needed; after that the draft is replaced. */
async function draftOf(notice: Notice): Promise<void> {
  if (draft) {
    draft.missing = (await ask<Draft>("PUT", `drafts/${draft.draft}`, { body: notice, token: draft.token })).missing;
    return;
  }
  say(find(".progress"), "Your browser does a little work, which keeps robots away. This takes some seconds.");
  const done = await proof(AbortSignal.timeout(300_000));
  draft = await ask<Draft>("POST", "drafts", { body: { proof: done, notice } });
}

/** What the rules demand and is not there is said once. It may be sent all the same: then the operator asks for it. */
function confirmedMissing(): boolean {
  const { missing } = draft!;
  const known = missing.join();
  showMissing(missing);
  if (missing.length === 0 || told === known) return true;
  told = known;
  say(find(".fault"), "The above is missing. Fill it in, or press the button again to send it as it is: then you are asked for it, with a deadline.");
  send.textContent = "Send it as it is";
  return false;
}

let copied: File | null = null;

async function sendCopy(): Promise<void> {
  const file = find<HTMLInputElement>("#copy").files?.[0] ?? null;
  if (file === null || file === copied || find<HTMLElement>(".copy").closest<HTMLElement>("[data-for]")?.hidden) return;
  const { draft: id, token } = draft!;
  const { copy_bytes_max, chunk_bytes_max } = desk!;
  if (file.size > copy_bytes_max) throw new Misread("copy", `The copy is too large; ${Math.floor(copy_bytes_max / 1024 / 1024)} MB is the most.`);
  const bar = find<HTMLProgressElement>("#copied");
  bar.hidden = false;
  bar.max = file.size;
  // One that was chosen before is replaced.
  await ask("DELETE", `drafts/${id}/copy`, { token }).catch((error: unknown) => {
    if (!(error instanceof Refused && error.status === 404)) throw error;
  });
  const piece = (offset: number, bytes: Blob) => ask<{ received: number }>("PUT", `drafts/${id}/copy?offset=${offset}`, { bytes, token });
  await upload(file, chunk_bytes_max, piece, (sent) => {
    bar.value = sent;
    say(find(".progress"), `Sending the copy: ${Math.round((sent / file.size) * 100)} %`);
  });
  copied = file;
}

function finish(claim: Claim & { confirm_by_us?: number }, token: string | null): void {
  form.hidden = true;
  const done = find(".done");
  done.hidden = false;
  const waits = claim.state === "email-pending";
  if (waits && token !== null) remember(token);
  say(find("#done-title"), waits ? "One more step: look into your mail" : "The report has been received");
  const text = waits
    ? `A mail is on its way to you. Follow its link${claim.confirm_by_us ? ` by ${writeDate(claim.confirm_by_us)}` : " within 24 hours"}; only then is the report received.`
    : claim.missing?.length
      ? `It was received, but something is missing. Complete it${claim.answer_by_us ? ` by ${writeDate(claim.answer_by_us)}` : ""} with the link below.`
      : "Somebody will read it and decide. You can follow it with the link below.";
  say(find(".done-text"), text);
  if (claim.case !== undefined) {
    find(".done-case").hidden = false;
    say(find(".done-case b"), String(claim.case));
    const link = find<HTMLAnchorElement>(".to-status");
    link.href = `./takedown/status#case=${claim.case}&token=${token ?? ""}`;
    link.hidden = find(".keep").hidden = false;
  }
  if (claim.receipt) {
    const button = find(".receipt");
    button.hidden = false;
    button.addEventListener("click", () => download(`receipt-${claim.case}.json`, claim.receipt));
  }
  done.focus();
}

form.addEventListener("change", (event) => {
  const { name } = event.target as HTMLInputElement;
  if (name === "profile") arrange();
});
form.addEventListener("input", (event) => {
  const input = event.target as HTMLInputElement;
  input.removeAttribute("aria-invalid");
  if (input.name === "material.from_ms" || input.name === "material.to_ms") {
    forgetSegments();
    showPicked();
  }
});
for (const button of form.querySelectorAll<HTMLElement>(".now")) {
  button.addEventListener("click", () => {
    const input = field(button.dataset["for"]!)!;
    input.value = writeTime(now());
    const [from, to] = [field("material.from_ms")!, field("material.to_ms")!].map(({ value }) => readTime(value));
    // An end at the same moment is no range.
    if (input.name === "material.to_ms" && from != null && to != null && to <= from) input.value = writeTime(from + 1_000);
    forgetSegments();
    showPicked();
  });
}
find(".watch").addEventListener("click", () => (recording ? openRecording(recording) : void openPlayer()));
form.addEventListener("submit", (event) => {
  event.preventDefault();
  void submit();
});
void begin().catch((error: unknown) => say(find(".state"), (error as Error).message));
