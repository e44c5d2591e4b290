// Who looks at the dashboard: logs in and out, and gives commands.

/** The script is in the page itself or beside it; a page may be in a folder. */
const FOLDER = new URL("api/v1/dashboard/", import.meta.url).href;
/** Other pages cannot send this header. */
const OWN_PAGE = { "x-peerstream-dashboard": "1" };
const TIMEOUT_MS = 10_000;

/** What the host says about the session. */
export interface Session {
  role: "guest" | "owner";
  title: string | null;
  publisher: string;
  epoch: number;
  mime: string | null;
  budget_mbps: number;
  problem: string | null;
  link: string | null;
  /** Who is on air; guests are not told. */
  on_air: string | null;
  publications: number;
  refused: number;
  /** What the streamer was told about the input. */
  advice: string[];
  /** Programs, and what to type into them to go on air; `HOST` stands for this host, `PAGE` for its web address. */
  instructions: [program: string, text: string][];
}

/** Where changes come from. */
export const FEED = `${FOLDER}feed`;

/** The session; none when a login is needed. Throws when the host does not answer. */
export async function session(): Promise<Session | null> {
  const response = await fetch(`${FOLDER}session`, { cache: "no-store", signal: AbortSignal.timeout(TIMEOUT_MS) });
  if (response.status === 401 || response.status === 429) return null;
  if (!response.ok) throw new Error(String(response.status));
  return (await response.json()) as Session;
}

/** Logs in; why it did not work, or nothing. */
export async function logIn(secret: string): Promise<string | null> {
  try {
    const response = await post("login", JSON.stringify({ secret }));
    if (response.ok) return null;
    if (response.status === 401) return "That is not the password, nor a token of this stream.";
    return (await response.text()).trim();
  } catch {
    return "The host does not answer.";
  }
}

/** Logs out. */
export async function logOut(): Promise<void> {
  await post("logout", "").catch(() => undefined);
}

/** Ends or restarts the broadcast; why it did not work, or nothing. */
export async function command(name: "end" | "restart"): Promise<string | null> {
  try {
    const response = await post(name, "");
    return response.ok ? null : (await response.text()).trim();
  } catch {
    return "The host does not answer.";
  }
}

/** A node's story, as the host tells it. */
export async function story(name: string): Promise<unknown> {
  const response = await fetch(`${FOLDER}nodes/${encodeURIComponent(name)}`, { signal: AbortSignal.timeout(TIMEOUT_MS) });
  return response.ok ? response.json() : null;
}

/** The token of the page's address, which is then taken out of it. */
export function takeToken(): string | null {
  const { hash, search, pathname } = location;
  const token = new URLSearchParams(hash.slice(1)).get("token") ?? new URLSearchParams(search).get("token");
  if (token !== null) history.replaceState(null, "", pathname);
  return token;
}

function post(name: string, body: string): Promise<Response> {
  const signal = AbortSignal.timeout(TIMEOUT_MS);
  return fetch(`${FOLDER}${name}`, { method: "POST", headers: OWN_PAGE, body, signal });
}
