// The dashboard: logs in, follows the host's feed and shows it.

import { element, find, say } from "../dashboard/dom.ts";
import { called, Model, type Moment, type Name, type News } from "../dashboard/model.ts";
import { showCourse, showInput, showLevels, showMoments, showNode, showTable, showTotals } from "../dashboard/panels.ts";
import { budgetSentence, happening, helperSentence, roomSentence, uplinkSentence, warnings } from "../dashboard/sentences.ts";
import { command, FEED, logIn, logOut, type Session, session, story, takeToken } from "../dashboard/session.ts";
import { TreeView } from "../dashboard/tree.ts";
import { span } from "../words.ts";

/** After a failure the host is asked again in this time, in milliseconds. */
const AGAIN_MS = 2_000;
/** What does not change every second is asked this often, in milliseconds. */
const SESSION_MS = 5_000;
/** Nothing from the host for this long is trouble, in milliseconds. */
const SILENCE_MS = 20_000;

const model = new Model();
const tree = new TreeView(find<HTMLCanvasElement>("canvas"), model, (name) => choose(name));
const table = find<HTMLDetailsElement>("details.all");
let current: Session | null = null;
let feed: EventSource | null = null;
let heard = 0;

function status(text: string, lost = false): void {
  const state = find(".state");
  say(state, text);
  state.classList.toggle("lost", lost);
}

/** Asks who we are; shows the login or the board. */
async function begin(): Promise<void> {
  const token = takeToken();
  if (token !== null) say(find(".refused"), (await logIn(token)) ?? "");
  await enter();
}

async function enter(): Promise<void> {
  try {
    current = await session();
  } catch {
    status("The host does not answer; trying again", true);
    setTimeout(() => void enter(), AGAIN_MS);
    return;
  }
  find(".login").hidden = current !== null;
  find(".board").hidden = current === null;
  showSession();
  if (current === null) return status("Log in to see the broadcast");
  follow();
}

function showSession(): void {
  const owner = current?.role === "owner";
  for (const name of [".share", ".restart", ".end"]) find(name).hidden = !owner;
  find(".leave").hidden = current === null;
  if (current?.title) {
    document.title = `${current.title} – dashboard`;
    say(find("h1"), current.title);
  }
}

function follow(): void {
  feed?.close();
  heard = performance.now();
  feed = new EventSource(FEED);
  feed.addEventListener("message", (event) => hear(event.data as string));
  feed.addEventListener("error", () => {
    feed?.close();
    status("The host does not answer; trying again", true);
    setTimeout(() => void enter(), AGAIN_MS);
  });
}

function hear(text: string): void {
  heard = performance.now();
  const news = model.take(text);
  show(news);
  status(current?.role === "guest" ? "Live, for looking only" : "Live");
}

function show(news: News): void {
  showTotals(model);
  showInput(model, current);
  showLevels(model);
  showCourse(model);
  showMoments(model, news.more);
  showNode(model, tree.selected);
  if (table.open) showTable(model, (name) => tree.select(name));
  showSentences();
  tree.update(news.shape, news.moments);
}

function showSentences(): void {
  const { sums } = model;
  const budget = current?.budget_mbps ?? 0;
  say(find(".room-now"), roomSentence(sums));
  say(find(".room-uplinks"), uplinkSentence(sums));
  say(find(".room-budget"), budgetSentence(sums, budget));
  say(find(".room-helper"), helperSentence(sums));
  const listed = sums.is("listed");
  find(".many").hidden = listed;
  say(find(".many"), listed ? "" : "There are too many nodes to draw each; see the levels below.");
  const wanted = warnings(sums, current?.problem ?? null, current?.advice);
  const list = find(".warnings");
  if (list.dataset["shown"] !== wanted.join("\n")) {
    list.dataset["shown"] = wanted.join("\n");
    list.replaceChildren(...wanted.map((text) => element("li", text)));
  }
  const count = model.nodes.size;
  find("canvas").setAttribute("aria-label", `The trees of viewers: ${count} nodes on ${sums.number("depth")} levels`);
}

function choose(name: Name | null): void {
  find(".story").replaceChildren();
  showNode(model, name);
}

/** A story as the host tells it. */
interface Told {
  place?: string;
  moments?: Record<string, unknown>[];
}

async function showStory(): Promise<void> {
  const name = tree.selected;
  if (name === null) return;
  const told = (await story(called(name)).catch(() => null)) as Told | null;
  const rows = (told?.moments ?? []).map((moment) => {
    const about = ["to", "by", "with", "fault", "death", "reason"].map((key) => moment[key]).find((value) => value !== undefined);
    const text = happening({ at_ms: 0, node: name, what: String(moment["what"]), about: aboutOf(about) });
    return element("li", `${span(Number(moment["ago"]) / 1000)} ago: ${text}`);
  });
  if (told?.place) rows.unshift(element("li", told.place));
  find(".story").replaceChildren(...(rows.length > 0 ? rows : [element("li", "Nothing is known of it any more.")]));
}

/** In a story nodes are called as people call them. */
function aboutOf(value: unknown): Moment["about"] {
  return typeof value === "string" ? (value === "source" ? "0" : value.replace(/^n(?=\d)/, "")) : null;
}

const QUESTIONS = {
  end: ["End the broadcast?", "Viewers see that the stream has ended; the input is refused until you restart.", "End broadcast"],
  restart: ["Restart the broadcast?", "The config is read again, a new broadcast begins, pages join it by themselves.", "Restart"],
} as const;

function ask(name: "end" | "restart"): void {
  const dialog = find<HTMLDialogElement>("dialog");
  const [title, text, yes] = QUESTIONS[name];
  say(find("#sure-title"), title);
  say(find(".sure-text"), text);
  say(find(".sure-yes"), yes);
  dialog.onclose = () => {
    if (dialog.returnValue !== "yes") return;
    void command(name).then((why) => why !== null && status(why, true));
  };
  dialog.returnValue = "";
  dialog.showModal();
}

async function share(): Promise<void> {
  if (!current?.link) return;
  const link = `${location.origin}${location.pathname}#token=${current.link}`;
  try {
    await navigator.clipboard.writeText(link);
    status("The read-only link is copied");
  } catch {
    // Without TLS there is no clipboard.
    prompt("The read-only link:", link);
  }
}

find<HTMLFormElement>(".login").addEventListener("submit", (event) => {
  event.preventDefault();
  const input = find<HTMLInputElement>("#secret");
  void logIn(input.value).then((why) => {
    say(find(".refused"), why ?? "");
    if (why !== null) return;
    input.value = "";
    void enter();
  });
});
find(".why").addEventListener("click", () => void showStory());
find(".end").addEventListener("click", () => ask("end"));
find(".restart").addEventListener("click", () => ask("restart"));
find(".share").addEventListener("click", () => void share());
find(".leave").addEventListener("click", () => {
  feed?.close();
  void logOut().then(enter);
});
table.addEventListener("toggle", () => table.open && showTable(model, (name) => tree.select(name)));
setInterval(() => {
  if (current === null) return;
  if (performance.now() - heard > SILENCE_MS) return void enter();
  void session().then(
    (now) => {
      if (now !== null) [current] = [now];
      showSession();
    },
    () => undefined,
  );
}, SESSION_MS);
void begin();
