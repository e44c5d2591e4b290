// From a form's fields to a complaint and back. Fields are named by their path, such as `claimant.name`.

import type { Agreed, Notice, Profile, Statement } from "./api.ts";
import { readTime, writeTime } from "./times.ts";

/** What a form's fields hold, by name. */
export type Fields = Map<string, string>;

/** Fields whose text is taken as it is. */
const TEXTS = [
  "material.where",
  "work.title",
  "work.owner",
  "work.kind",
  "work.registration",
  "work.url",
  "explanation",
  "claimant.name",
  "claimant.organisation",
  "claimant.role",
  "claimant.address",
  "claimant.phone",
  "claimant.email",
  "claimant.country",
  "signature",
] as const;
const TIMES = ["material.from_ms", "material.to_ms"] as const;
const NUMBERS = ["material.epoch", "material.first_seq", "material.end_seq"] as const;

/** A field that says what cannot be meant. */
export class Misread extends Error {
  readonly field: string;

  constructor(field: string, message: string) {
    super(message);
    this.field = field;
  }
}

/** The complaint that the fields hold; empty ones are left out. Throws [Misread]. */
export function gather(profile: Profile, fields: Fields, agreed: Agreed[], today: string): Notice {
  const notice: Record<string, unknown> = { profile };
  const put = (path: string, value: unknown) => {
    const [first = "", second] = path.split(".");
    if (second === undefined) notice[first] = value;
    else notice[first] = { ...(notice[first] as object | undefined), [second]: value };
  };
  for (const path of TEXTS) {
    const text = fields.get(path)?.trim() ?? "";
    if (text !== "") put(path, text);
  }
  for (const path of TIMES) {
    const text = fields.get(path)?.trim() ?? "";
    const ms = readTime(text);
    if (text !== "" && ms === null) throw new Misread(path, "Write a time such as 12:30 or 1:02:30.");
    if (ms !== null) put(path, ms);
  }
  const [from, to] = TIMES.map((path) => readTime(fields.get(path) ?? ""));
  if (from != null && to != null && to <= from) throw new Misread("material.to_ms", "The end must be later than the beginning.");
  for (const path of NUMBERS) {
    const number = Number(fields.get(path) || NaN);
    if (Number.isSafeInteger(number) && number >= 0) put(path, number);
  }
  if (agreed.length > 0) {
    notice["statements"] = agreed;
    notice["executed_on"] = today;
  }
  return notice as unknown as Notice;
}

/** The fields of a complaint, for a form that goes on with it. */
export function scatter(notice: Notice): Fields {
  const fields: Fields = new Map();
  const all = notice as unknown as Record<string, unknown>;
  const get = (path: string) => path.split(".").reduce<unknown>((value, key) => (value as Record<string, unknown> | undefined)?.[key], all);
  for (const path of [...TEXTS, ...NUMBERS]) {
    const value = get(path);
    if (typeof value === "string" || typeof value === "number") fields.set(path, String(value));
  }
  for (const path of TIMES) {
    const value = get(path);
    if (typeof value === "number") fields.set(path, writeTime(value));
  }
  return fields;
}

/** What is said about a statement that was agreed to. */
export function agreedTo({ id, version, locale, sha256 }: Statement): Agreed {
  return { id, version, locale, sha256 };
}
