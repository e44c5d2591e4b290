// The dashboard: asks the host for the overview and lists it.

import { COLUMNS, type Column, countersOf, type Fields, isConnected, nodesOf, parseOverview, totalsOf } from "./overview.ts";

/** Asked this often, in milliseconds. */
const POLL_MS = 1_000;
/** At most this many rows are drawn. */
const ROWS_MAX = 500;

function find(selector: string): HTMLElement {
  const found = document.querySelector<HTMLElement>(selector);
  if (!found) throw new Error(`no ${selector} in the page`);
  return found;
}

function element(tag: string, text: string, classes = ""): HTMLElement {
  const made = document.createElement(tag);
  made.textContent = text;
  if (classes) made.className = classes;
  return made;
}

function definitions(list: HTMLElement, entries: [string, string][]): void {
  list.replaceChildren(
    ...entries.map(([title, value]) => {
      const group = document.createElement("div");
      group.append(element("dt", title), element("dd", value));
      return group;
    }),
  );
}

function cell(column: Column, node: Fields): HTMLElement {
  const classes = [column.number ? "number" : "", column.warn?.(node) ? "warn" : ""].join(" ").trim();
  return element("td", column.cell(node), classes);
}

function row(node: Fields): HTMLElement {
  const made = document.createElement("tr");
  if (!isConnected(node)) made.className = "gone";
  made.append(...COLUMNS.map((column) => cell(column, node)));
  return made;
}

function emptyRow(): HTMLElement {
  const made = document.createElement("tr");
  const only = element("td", "Nobody is here yet.", "empty");
  only.setAttribute("colspan", String(COLUMNS.length));
  made.append(only);
  return made;
}

function head(): HTMLElement {
  const made = document.createElement("tr");
  for (const column of COLUMNS) {
    const title = element("th", column.title, column.number ? "number" : "");
    title.setAttribute("scope", "col");
    made.append(title);
  }
  return made;
}

function draw(overview: unknown): void {
  const nodes = nodesOf(overview);
  definitions(find(".totals"), totalsOf(overview, nodes));
  definitions(find(".counters"), countersOf(overview));
  find("tbody").replaceChildren(...(nodes.length > 0 ? nodes.slice(0, ROWS_MAX).map(row) : [emptyRow()]));
  const more = nodes.length > ROWS_MAX ? `, the first ${ROWS_MAX} of ${nodes.length} nodes` : "";
  say(`Up to date${more}`, false);
}

function say(text: string, lost: boolean): void {
  const state = find(".state");
  if (state.textContent !== text) state.textContent = text;
  state.classList.toggle("lost", lost);
}

async function poll(): Promise<void> {
  try {
    const response = await fetch("./api/v1/overlay", { cache: "no-store", signal: AbortSignal.timeout(5_000) });
    if (!response.ok) throw new Error(`${response.status}`);
    draw(parseOverview(await response.text()));
  } catch {
    say("The host does not answer; trying again", true);
  }
  setTimeout(() => void poll(), POLL_MS);
}

find("thead").append(head());
void poll();
