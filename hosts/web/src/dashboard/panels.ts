// The parts of the dashboard around the trees.

import { bytes, span } from "../words.ts";
import { definitions, element, find, say } from "./dom.ts";
import { byName, called, isInTrouble, type Model, type Moment, type Name, type Node, SOURCE } from "./model.ts";
import { colour, happening, judged, percent, rate } from "./sentences.ts";
import type { Session } from "./session.ts";

const DASH = "–";
/** Rows of the table of all nodes. */
const ROWS_MAX = 500;

const lag = (ms: number): string => (ms > 0 ? span(ms) : DASH);

/** The figures at the top. */
export function showTotals(model: Model): void {
  const { sums } = model;
  const number = (...path: string[]): number => sums.number(...path);
  const skipped = sums.maybe("rates", "skipped");
  const [sent, server] = [number("rates", "sent_bps"), number("rates", "server_bps")];
  const [sentAll, serverAll] = [number("totals", "sent"), number("totals", "received")];
  const saved = serverAll > sentAll ? percent(1 - sentAll / serverAll) : DASH;
  const helpers = number("helpers");
  definitions(find(".totals"), [
    ["Viewers", String(number("viewers")), helpers > 0 ? `and ${helpers} helpers` : `${number("depth")} levels deep`],
    ["Lag", lag(number("lag_p50")), `one in twenty above ${lag(number("lag_p95"))}`],
    ["Continuity", skipped === null ? DASH : percent(1 - skipped), `last minute; ${number("rates", "stalls")} stalls`],
    ["This machine sends", rate(sent), `a server would send ${rate(server)}`],
    ["Carried by viewers", saved, `${bytes(serverAll)} watched, ${bytes(sentAll)} sent from here`],
    ["Stream", rate(number("rates", "stream_bps")), sums.text("state") || DASH],
  ]);
}

/** How the input is. */
export function showInput(model: Model, session: Session | null): void {
  const { sums } = model;
  const number = (name: string): number => sums.number("input", name);
  const seconds = (name: string): string => (number(name) > 0 ? span(number(name)) : DASH);
  const state = sums.text("state");
  const silence = sums.maybe("input", "silence_ms");
  const held = number("held_ms") / 1000;
  const entries: [string, string][] = [
    ["State", STATES[state] ?? (state || DASH)],
    ["Playing", sums.text("playing") || DASH],
    ["Bitrate", rate(sums.number("rates", "stream_bps"))],
    ["Segments", held > 0 ? `${(number("units") / held).toFixed(1)} a second, ${number("waiting")} waiting` : DASH],
    ["Key frames every", seconds("join_distance_ms")],
    ["Last segment", silence === null ? DASH : `${span(silence)} ago`],
    ["Interruptions", `${number("discontinuities")} gaps, ${number("pauses")} pauses, ${number("oversized")} too large`],
  ];
  if (session?.role === "owner") {
    const refused = session.refused > 0 ? `, ${session.refused} refused` : "";
    entries.splice(1, 0, ["On air", session.on_air ?? "nobody"], ["Publications", `${session.publications}${refused}`]);
  }
  definitions(find(".input dl"), entries);
  const air = find<HTMLDetailsElement>(".air");
  const told = session?.instructions ?? [];
  air.hidden = told.length === 0;
  definitions(find(".air dl"), told.map(([program, text]) => [program, text.replaceAll("PAGE", location.origin).replaceAll("HOST", location.hostname)]));
}

const STATES: Record<string, string> = {
  waiting: "waiting for the first input",
  live: "live",
  away: "nobody is on air; the stream goes on when an input comes back",
  ended: "ended",
  failed: "failed",
  "taken-down": "taken down",
};

/** Lag by depth, as bars that a table holds. */
export function showLevels(model: Model): void {
  const levels = model.levels();
  const longest = Math.max(1, ...levels.map((level) => level.p95));
  const most = Math.max(1, ...levels.map((level) => level.nodes));
  const rows = levels.map((level) => {
    const row = document.createElement("tr");
    const title = element("th", String(level.level));
    title.setAttribute("scope", "row");
    const nodes = element("td", "", "bar");
    nodes.append(bar(level.nodes / most, "nodes"), element("span", String(level.nodes)));
    const lags = element("td", "", "bar");
    lags.append(bar(level.p95 / longest, "late"), bar(level.p50 / longest, "lag"));
    lags.append(element("span", `${lag(level.p50)} / ${lag(level.p95)}`));
    row.append(title, nodes, lags);
    return row;
  });
  find(".levels tbody").replaceChildren(...rows);
}

function bar(share: number, kind: string): HTMLElement {
  const made = element("i", "", kind);
  made.style.width = `${Math.round(share * 100)}%`;
  return made;
}

/** The last hour: viewers, and what this machine sent beside what a server would have sent. */
export function showCourse(model: Model): void {
  const { course } = model;
  const line = (values: number[], most: number): string => {
    const x = (index: number): number => (index / Math.max(1, values.length - 1)) * 100;
    return values.map((value, index) => `${x(index)},${30 - (value / Math.max(1, most)) * 28}`).join(" ");
  };
  const draw = (selector: string, values: number[], most = Math.max(...values)): void =>
    document.querySelector(selector)?.setAttribute("points", line(values, most));
  const sent = course.map((point) => point.sent_bps);
  const server = course.map((point) => point.server_bps);
  const most = Math.max(1, ...sent, ...server);
  draw("#viewers-line", course.map((point) => point.viewers));
  draw("#sent-line", sent, most);
  draw("#server-line", server, most);
  say(find(".course-most"), `up to ${Math.max(0, ...course.map((point) => point.viewers))} viewers, ${rate(most)}`);
}

/** Adds what has happened to the list; the latest first. */
export function showMoments(model: Model, more: number): void {
  const now = model.sums.number("now_ms");
  const rows = model.moments.slice(-30).reverse().map((moment) => momentRow(moment, now));
  if (more > 0) rows.unshift(element("li", `and ${more} more at once`, "plain"));
  if (rows.length === 0) rows.push(element("li", "Nothing yet.", "plain"));
  find(".moments").replaceChildren(...rows);
}

function momentRow(moment: Moment, now: number): HTMLElement {
  const row = element("li", "", colour(moment));
  row.append(element("time", `${span(Math.max(0, now - moment.at_ms))} ago`), element("b", called(moment.node)));
  row.append(document.createTextNode(` ${happening(moment)}`));
  return row;
}

/** What is known of the node that is looked at. */
export function showNode(model: Model, name: Name | null): void {
  const node = name === null ? undefined : model.nodes.get(name);
  find(".node").classList.toggle("empty", name === null);
  if (name === null) return say(find(".node h2"), "Node");
  say(find(".node h2"), called(name));
  if (!node) return definitions(find(".node dl"), [["State", name === SOURCE ? "not known yet" : "gone"]]);
  definitions(find(".node dl"), node.role === "source" ? sourceFacts(model) : nodeFacts(model, node));
}

function sourceFacts(model: Model): [string, string][] {
  return [
    ["Feeds", model.childrenOf(SOURCE).map(called).join(", ") || "nobody"],
    ["Sends", rate(model.sums.number("rates", "sent_bps"))],
    ["Sent", bytes(model.sums.number("totals", "sent"))],
  ];
}

function nodeFacts(model: Model, node: Node): [string, string][] {
  const list = (names: Name[]): string => names.map(called).join(", ") || "nobody";
  const here = model.sums.number("now_ms") - node.joined_s * 1000;
  const shared = node.received_kb > 0 ? ` (${percent(node.sent_kb / node.received_kb)} of what it got)` : "";
  return [
    ["Fed by", node.confirmed ? list(node.feeders) : `${list(node.parents)}, not yet`],
    ["Feeds", list(model.childrenOf(node.name))],
    ["Backup", node.backup === null ? "nobody" : called(node.backup)],
    ["Place", `${node.place || DASH}, level ${node.level || DASH}`],
    ["Behind the source", lag(node.lag_ms)],
    ["Received", bytes(node.received_kb * 1000)],
    ["Passed on", `${bytes(node.sent_kb * 1000)}${shared}`],
    ["Given up", `${node.skipped} segments, ${node.stalls} stalls`],
    ["Passes on", node.relay ? `up to ${node.capacity} copies` : "nothing"],
    ["Here for", span(Math.max(0, here))],
    ["Judged", judged(node)],
  ];
}

/** Every node in a table, for those who read rather than look. */
export function showTable(model: Model, choose: (name: Name) => void): void {
  const nodes = [...model.nodes.values()].filter((node) => node.role !== "source");
  nodes.sort((a, b) => a.level - b.level || byName(a.name, b.name));
  const rows = nodes.slice(0, ROWS_MAX).map((node) => {
    const row = element("tr", "", isInTrouble(node) ? "trouble" : "");
    const button = element("button", called(node.name));
    button.setAttribute("type", "button");
    button.addEventListener("click", () => choose(node.name));
    const title = document.createElement("th");
    title.setAttribute("scope", "row");
    title.append(button);
    const cells = [node.place || DASH, String(node.level || DASH), node.feeders.map(called).join(", ") || DASH, lag(node.lag_ms)];
    cells.push(bytes(node.sent_kb * 1000), String(node.skipped), isInTrouble(node) ? judged(node) : "fine");
    row.append(title, ...cells.map((text) => element("td", text)));
    return row;
  });
  const total = model.sums.number("viewers") + model.sums.number("helpers");
  say(find(".all-note"), total > rows.length ? `The first ${rows.length} of ${total} nodes.` : "");
  find(".all tbody").replaceChildren(...rows);
}
