// What the dashboard shows of a host's overview. Every field may be missing or of an unknown shape.

import { bytes, span } from "../words.ts";

/** An object of unknown content. */
export type Fields = Record<string, unknown>;

/** One column of the table. */
export interface Column {
  title: string;
  number?: boolean;
  cell(node: Fields): string;
  /** Whether the cell deserves attention. */
  warn?(node: Fields): boolean;
}

const DASH = "–";

/** The columns, from left to right. */
export const COLUMNS: Column[] = [
  { title: "Node", cell: (node) => name(node["id"] ?? node["node"]) },
  { title: "Place", cell: (node) => plain(node["place"]) },
  { title: "Level", number: true, cell: (node) => plain(node["level"]) },
  { title: "Parent", cell: parent, warn: (node) => node["confirmed"] === false && !isSource(node) },
  { title: "Children", cell: (node) => nameList(node["children"]) },
  { title: "Buddy", cell: (node) => nameList(node["buddy"] ?? node["backup"]) },
  { title: "Age", number: true, cell: age },
  { title: "Lag", number: true, cell: (node) => duration(figure(node, "lag_ms") || figure(node, "received_lag_ms"), 1) },
  { title: "Received", number: true, cell: (node) => size(figure(node, "payload_received")) },
  { title: "Sent", number: true, cell: (node) => size(figure(node, "payload_sent")) },
  {
    title: "Stalls",
    number: true,
    cell: (node) => plain(figure(node, "stalls")),
    warn: (node) => Number(figure(node, "stalls")) > 0,
  },
  { title: "Relays", cell: (node) => yes(node["relay"]) },
];

/** Reads an overview. Numbers beyond what JavaScript holds exactly, as ids may be, become texts. */
export function parseOverview(json: string): unknown {
  return JSON.parse(json.replace(/(?<=[:[,]\s*)\d{16,}(?=\s*[,\]}])/g, '"$&"')) as unknown;
}

/** The nodes of an overview, the source first, then level by level. */
export function nodesOf(overview: unknown): Fields[] {
  const nodes = isObject(overview) ? overview["nodes"] : overview;
  const list = Array.isArray(nodes) ? nodes.filter(isObject) : [];
  const rank = (node: Fields): number => (isSource(node) ? -1 : Number(node["level"] ?? Infinity));
  return list.map((node, index) => ({ node, index })).sort(
    (a, b) => (rank(a.node) === rank(b.node) ? 0 : rank(a.node) - rank(b.node)) || a.index - b.index,
  ).map(({ node }) => node);
}

/** The figures above the table. */
export function totalsOf(overview: unknown, nodes: Fields[]): [title: string, value: string][] {
  const others = nodes.filter((node) => !isSource(node));
  const connected = others.filter((node) => node["connected"] !== false);
  const sum = (key: string): number => others.reduce((total, node) => total + (Number(figure(node, key)) || 0), 0);
  const lags = others.map((node) => Number(figure(node, "lag_ms"))).filter((lag) => lag > 0);
  const depth = others.reduce((deepest, node) => Math.max(deepest, Number(node["level"]) || 0), 0);
  return [
    ["Viewers", String(connected.length)],
    ["Source copies", sourceCopies(overview, nodes)],
    ["Levels", String(depth)],
    ["Passed on by viewers", size(sum("payload_sent"))],
    ["Median lag", lags.length > 0 ? span(median(lags)) : DASH],
    ["Stalls", String(sum("stalls"))],
  ];
}

/** The counters of the coordinator, flattened. */
export function countersOf(overview: unknown): [title: string, value: string][] {
  const counters = isObject(overview) ? overview["counters"] : null;
  if (!isObject(counters)) return [];
  return Object.entries(counters).map(([key, value]) => [key.replaceAll("_", " "), plain(value)]);
}

/** Whether a node is still there. */
export function isConnected(node: Fields): boolean {
  return node["connected"] !== false;
}

function sourceCopies(overview: unknown, nodes: Fields[]): string {
  const told = isObject(overview) ? overview["source_copies"] : undefined;
  if (typeof told === "number") return String(told);
  const source = nodes.find(isSource);
  const children = Array.isArray(source?.["children"]) ? source["children"].length : null;
  const fed = nodes.filter((node) => nameList(node["parent"] ?? node["parents"]).split(", ").includes("source"));
  return String(children ?? fed.length);
}

function isSource(node: Fields): boolean {
  return name(node["id"] ?? node["node"]) === "source" || /^source$/i.test(plain(node["role"]));
}

function figure(node: Fields, key: string): unknown {
  const figures = node["figures"];
  return isObject(figures) && key in figures ? figures[key] : node[key];
}

/** Ids come as names, or as numbers with the coordinator's term in the upper half. */
function name(id: unknown): string {
  const digits = plain(id);
  if (!/^\d+$/.test(digits)) return digits;
  return digits === "0" ? "source" : `n${BigInt(digits) & 0xffff_ffffn}`;
}

function parent(node: Fields): string {
  const wanted = nameList(node["parent"] ?? node["parents"]);
  return node["confirmed"] === false && wanted !== DASH ? `${wanted}, not yet` : wanted;
}

function age(node: Fields): string {
  return duration(node["age_s"], 1000) === DASH ? duration(node["age"], 1 / 1000) : duration(node["age_s"], 1000);
}

function nameList(value: unknown): string {
  if (!Array.isArray(value)) return isObject(value) ? name(value["peer"]) : name(value);
  return value.map((entry) => nameList(entry)).join(", ") || DASH;
}

function plain(value: unknown): string {
  if (value === null || value === undefined || value === "") return DASH;
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

function yes(value: unknown): string {
  return typeof value === "boolean" ? (value ? "yes" : "no") : DASH;
}

function size(value: unknown): string {
  return typeof value === "number" ? bytes(value) : DASH;
}

function duration(value: unknown, milliseconds: number): string {
  return typeof value === "number" && value > 0 ? span(value * milliseconds) : DASH;
}

function median(values: number[]): number {
  return values.sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}

function isObject(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
