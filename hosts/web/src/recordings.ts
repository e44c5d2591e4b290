// The recordings of a host, as it lists them.

/** One recording. */
export interface Recording {
  id: string;
  title: string | null;
  /** When the broadcast began, milliseconds since 1970. */
  starts_ms: number;
  seconds: number | null;
  /** It is on air. */
  live: boolean;
  complete: boolean;
  /** The playlist's address, from the host's. */
  hls: string;
}

/** Asks a host, whose base address this is; none when it has none or does not answer. */
export async function fetchRecordings(base: string): Promise<Recording[]> {
  try {
    const response = await fetch(new URL("api/v1/recordings", base), { cache: "no-store" });
    const listed: unknown = response.ok ? await response.json() : [];
    return Array.isArray(listed) ? (listed as Recording[]) : [];
  } catch {
    return [];
  }
}

/** What a recording is called: its title and when it was. */
export function caption({ title, starts_ms, seconds }: Recording): string {
  const when = new Date(starts_ms).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
  const long = seconds === null ? "" : `, ${Math.max(1, Math.round(seconds / 60))} min`;
  return `${title ?? "Broadcast"}, ${when}${long}`;
}
