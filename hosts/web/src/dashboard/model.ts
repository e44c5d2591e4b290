// What a host tells of its overlay: everything once, then what has changed. Every field may be missing or of an unknown shape.

/** An object of unknown content. */
type Fields = Record<string, unknown>;

/** A node's name as it travels: `0` is the source; `5@12` was named by an earlier coordinator. */
export type Name = string;

/** The source. */
export const SOURCE: Name = "0";

/** What a node does. */
export type Role = "source" | "viewer" | "helper";

/** One node. */
export interface Node {
  name: Name;
  role: Role;
  place: string;
  level: number;
  /** Who shall feed it, in the order of its stripes. */
  parents: Name[];
  /** Who does, as it last said. */
  feeders: Name[];
  backup: Name | null;
  capacity: number;
  connected: boolean;
  relay: boolean;
  confirmed: boolean;
  suspected: boolean;
  struggling: boolean;
  fault: "relay" | "receiver" | null;
  joined_s: number;
  lag_ms: number;
  received_kb: number;
  sent_kb: number;
  skipped: number;
  stalls: number;
}

/** Lag of one level. */
export interface Level {
  level: number;
  nodes: number;
  p50: number;
  p95: number;
  struggling: number;
}

/** A point of the course. */
export interface Point {
  at_s: number;
  viewers: number;
  sent_bps: number;
  server_bps: number;
}

/** Something that happened to a node. */
export interface Moment {
  at_ms: number;
  node: Name;
  what: string;
  /** A node's name, or a reason. */
  about: string | null;
}

/** Sums over the audience: numbers, texts and yes or no by name. */
export class Sums {
  constructor(private readonly fields: Fields = {}) {}

  number(...path: string[]): number {
    const value = this.find(path);
    return typeof value === "number" && Number.isFinite(value) ? value : 0;
  }

  /** A number that may be unknown. */
  maybe(...path: string[]): number | null {
    const value = this.find(path);
    return typeof value === "number" && Number.isFinite(value) ? value : null;
  }

  text(...path: string[]): string {
    const value = this.find(path);
    return typeof value === "string" ? value : "";
  }

  is(...path: string[]): boolean {
    return this.find(path) === true;
  }

  list(...path: string[]): unknown[] {
    const value = this.find(path);
    return Array.isArray(value) ? value : [];
  }

  private find(path: string[]): unknown {
    return path.reduce<unknown>((value, key) => (isObject(value) ? value[key] : undefined), this.fields);
  }
}

/** What a message has brought. */
export interface News {
  /** Whether nodes have come, gone or changed places. */
  shape: boolean;
  moments: Moment[];
  more: number;
}

const MOMENTS_MAX = 60;
const POINTS_MAX = 360;
const FLAGS = { connected: 1, relay: 2, confirmed: 4, suspected: 8, struggling: 16, relayFault: 32, receiverFault: 64 };
const ROLES: Record<string, Role> = { s: "source", h: "helper", v: "viewer" };

/** The overlay as the page knows it. */
export class Model {
  readonly nodes = new Map<Name, Node>();
  sums = new Sums();
  course: Point[] = [];
  /** The latest last. */
  moments: Moment[] = [];

  /** Takes a message in. Throws when it is no JSON. */
  take(text: string): News {
    const message: unknown = JSON.parse(text);
    if (!isObject(message)) return { shape: false, moments: [], more: 0 };
    if (message["all"] === true) this.clear();
    if (isObject(message["sums"])) this.sums = new Sums(message["sums"]);
    for (const row of rows(message["put"])) this.put(row);
    for (const name of list(message["gone"])) this.nodes.delete(String(name));
    for (const [name, lag] of rows(message["lag"])) this.change(name, { lag_ms: numberOf(lag) });
    for (const [name, received, sent, skipped, stalls] of rows(message["figures"])) {
      const figures = { received_kb: numberOf(received), sent_kb: numberOf(sent) };
      this.change(name, { ...figures, skipped: numberOf(skipped), stalls: numberOf(stalls) });
    }
    this.course = [...this.course, ...points(message["course"]), ...points([message["point"]])].slice(-POINTS_MAX);
    const { moments, more } = momentsOf(message["moments"]);
    this.moments = [...this.moments, ...moments].slice(-MOMENTS_MAX);
    const shape = message["all"] === true || "put" in message || "gone" in message;
    return { shape, moments: message["all"] === true ? [] : moments, more };
  }

  /** Whom a node feeds. */
  childrenOf(name: Name): Name[] {
    const children = [...this.nodes.values()].filter((node) => node.parents.includes(name));
    return children.map((child) => child.name).sort(byName);
  }

  levels(): Level[] {
    return rows(this.sums.list("levels")).map((row) => {
      const [level = 0, nodes = 0, p50 = 0, p95 = 0, struggling = 0] = row.map(numberOf);
      return { level, nodes, p50, p95, struggling };
    });
  }

  private clear(): void {
    this.nodes.clear();
    this.course = [];
    this.moments = [];
  }

  private change(name: unknown, change: Partial<Node>): void {
    const node = this.nodes.get(String(name));
    if (node) Object.assign(node, change);
  }

  private put(row: unknown[]): void {
    const [id, role, place, level, parents, feeders, backup, capacity, flags, joined] = row;
    const name = String(id);
    const before = this.nodes.get(name);
    const is = (bit: number): boolean => (numberOf(flags) & bit) !== 0;
    const told = names(parents);
    this.nodes.set(name, {
      name,
      role: ROLES[String(role)] ?? "viewer",
      place: typeof place === "string" ? place : "",
      level: numberOf(level),
      parents: told,
      feeders: Array.isArray(feeders) ? names(feeders) : told,
      backup: backup === null || backup === undefined ? null : String(backup),
      capacity: numberOf(capacity),
      connected: is(FLAGS.connected),
      relay: is(FLAGS.relay),
      confirmed: is(FLAGS.confirmed),
      suspected: is(FLAGS.suspected),
      struggling: is(FLAGS.struggling),
      fault: is(FLAGS.relayFault) ? "relay" : is(FLAGS.receiverFault) ? "receiver" : null,
      joined_s: numberOf(joined),
      lag_ms: before?.lag_ms ?? 0,
      received_kb: before?.received_kb ?? 0,
      sent_kb: before?.sent_kb ?? 0,
      skipped: before?.skipped ?? 0,
      stalls: before?.stalls ?? 0,
    });
  }
}

/** What a node is called for people. */
export function called(name: Name): string {
  return name === SOURCE ? "source" : `n${name.split("@")[0]}`;
}

/** The order of names: older nodes first. */
export function byName(a: Name, b: Name): number {
  return Number.parseInt(a, 10) - Number.parseInt(b, 10) || a.localeCompare(b);
}

/** Whether a node does not get the stream as it should, or is lost. */
export function isInTrouble(node: Node): boolean {
  return node.role !== "source" && (!node.connected || node.suspected || node.struggling || node.fault !== null);
}

function momentsOf(value: unknown): { moments: Moment[]; more: number } {
  if (!isObject(value)) return { moments: [], more: 0 };
  const moments = rows(value["rows"]).map(([at, node, what, about]) => ({
    at_ms: numberOf(at),
    node: String(node),
    what: String(what),
    about: about === null || about === undefined ? null : String(about),
  }));
  return { moments, more: numberOf(value["more"]) };
}

function points(value: unknown): Point[] {
  return list(value).filter(isObject).map((point) => ({
    at_s: numberOf(point["at_s"]),
    viewers: numberOf(point["viewers"]),
    sent_bps: numberOf(point["sent_bps"]),
    server_bps: numberOf(point["server_bps"]),
  }));
}

function names(value: unknown): Name[] {
  return list(value).map(String);
}

function rows(value: unknown): unknown[][] {
  return list(value).filter(Array.isArray);
}

function list(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [];
}

function numberOf(value: unknown): number {
  return typeof value === "number" && Number.isFinite(value) ? value : 0;
}

function isObject(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
