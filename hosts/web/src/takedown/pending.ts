// The tokens of reports whose mail was not confirmed yet. The link in the mail opens another page, mostly of the same browser: there
// the claimant gets what lets them answer.

const KEY = "peerstream-reports";
/** Tokens that are kept, at most. */
const PENDING_MAX = 8;

/** Keeps a token until its report is confirmed. */
export function remember(token: string): void {
  write([...read().filter((one) => one !== token), token].slice(-PENDING_MAX));
}

/** The one of the kept tokens that this accepts, which is then forgotten; nothing when none is. */
export async function recall(accepts: (token: string) => Promise<boolean>): Promise<string | null> {
  for (const token of read()) {
    if (!(await accepts(token))) continue;
    write(read().filter((one) => one !== token));
    return token;
  }
  return null;
}

function read(): string[] {
  try {
    const kept: unknown = JSON.parse(localStorage.getItem(KEY) ?? "[]");
    return Array.isArray(kept) ? kept.filter((one) => typeof one === "string").slice(-PENDING_MAX) : [];
  } catch {
    return [];
  }
}

function write(tokens: string[]): void {
  try {
    if (tokens.length === 0) localStorage.removeItem(KEY);
    else localStorage.setItem(KEY, JSON.stringify(tokens));
  } catch {
    // A browser that keeps nothing: the receipt shows how things stand.
  }
}
