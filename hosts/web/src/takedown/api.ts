// What pages about complaints ask of the host; see `docs/takedown.md`.

/** Where the host answers: beside the scripts, wherever the page is. */
const BASE = new URL("api/v1/takedown/", import.meta.url);
const TIMEOUT_MS = 20_000;
/** A piece of an upload may take longer. */
const UPLOAD_TIMEOUT_MS = 120_000;

/** Under which rules somebody complains. */
export type Profile = "dmca" | "dsa" | "house-rules";

/** A text that somebody agrees to. */
export interface Statement {
  id: string;
  version: number;
  locale: string;
  text: string;
  sha256: string;
  required: boolean;
}

/** What the form needs to know. */
export interface Desk {
  stream: string;
  epoch: number;
  title: string | null;
  now_us: number;
  started_us: number;
  profiles: Profile[];
  confirmation: "mail" | "operator" | "none";
  today: string;
  statements: Partial<Record<Profile | "counter", Statement[]>>;
  agent: { name: string; address: string; phone: string; email: string } | null;
  copy_bytes_max: number;
  chunk_bytes_max: number;
  range_ms_max: number;
  archive: boolean;
}

/** A statement that was agreed to. */
export interface Agreed {
  id: string;
  version: number;
  locale: string;
  sha256: string;
}

/** A complaint as it is sent in. */
export interface Notice {
  profile: Profile;
  material?: { epoch?: number; from_ms?: number; to_ms?: number; first_seq?: number; end_seq?: number; where?: string };
  work?: { title?: string; owner?: string; kind?: string; registration?: string; url?: string };
  explanation?: string;
  claimant?: {
    name?: string;
    organisation?: string;
    role?: "owner" | "agent";
    address?: string;
    phone?: string;
    email?: string;
    country?: string;
  };
  statements?: Agreed[];
  executed_on?: string;
  signature?: string;
}

/** Something that was done, and whether it still stands. */
export interface Done {
  action: string;
  at_us: number;
  standing: string;
}

/** A case as its claimant sees it. */
export interface Claim {
  case: number;
  state: string;
  revision: number;
  profile: Profile;
  received_us: number;
  changed_us: number;
  missing: string[];
  asked: string[];
  answer_by_us: number | null;
  restore_from_us: number | null;
  restore_by_us: number | null;
  decision: { outcome: "accepted" | "rejected"; reason: string; automated: boolean } | null;
  actions: Done[];
  counter: { at_us: number; explanation?: string; name?: string } | null;
  redress: string;
  receipt: unknown;
  notice?: Notice;
}

/** What went wrong, as the host says it. */
export class Refused extends Error {
  readonly status: number;
  readonly code: string;
  readonly field: string | null;
  readonly details: Record<string, unknown>;

  constructor(status: number, details: Record<string, unknown>, retry: string | null) {
    const message = typeof details["message"] === "string" ? details["message"] : `The host answers ${status}.`;
    super(retry === null ? message : `${message} (try again in ${retry} s)`);
    this.status = status;
    this.details = details;
    this.code = typeof details["error"] === "string" ? details["error"] : "";
    this.field = typeof details["field"] === "string" ? details["field"] : null;
  }
}

/** What is asked, beside method and path. */
export interface Question {
  body?: unknown;
  bytes?: Blob;
  /** Who asks: the token of a draft or case. */
  token?: string | null;
  headers?: Record<string, string>;
}

/** Asks the host; an answer that is no success is thrown as [Refused], no answer as an [Error] for people. */
export async function ask<T>(method: string, path: string, question: Question = {}): Promise<T> {
  const { body, bytes, token, headers } = question;
  // Below `api/v1/takedown` a path is added; the folder itself is asked without its last stroke.
  const url = path === "" ? new URL(BASE.href.replace(/\/$/, "")) : new URL(path, BASE);
  const request: RequestInit = {
    method,
    cache: "no-store",
    credentials: "same-origin",
    signal: AbortSignal.timeout(bytes ? UPLOAD_TIMEOUT_MS : TIMEOUT_MS),
    headers: {
      ...(body === undefined ? {} : { "content-type": "application/json" }),
      ...(token ? { authorization: `Bearer ${token}` } : {}),
      ...headers,
    },
  };
  if (bytes) request.body = bytes;
  else if (body !== undefined) request.body = JSON.stringify(body);
  let response: Response;
  try {
    response = await fetch(url, request);
  } catch {
    throw new Error("The host does not answer. Nothing is lost: try again.");
  }
  const text = await response.text();
  const told = parsed(text);
  if (!response.ok) throw new Refused(response.status, told ?? { message: text.trim() || undefined }, response.headers.get("retry-after"));
  return told as T;
}

/** The address of something to be fetched by the browser itself. */
export function addressOf(path: string): string {
  return new URL(path, BASE).href;
}

function parsed(text: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : null;
  } catch {
    return null;
  }
}
