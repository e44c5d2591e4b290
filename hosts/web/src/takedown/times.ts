// Times of a broadcast as people write them, and dates as they read them.

/** `1:02:03.5`, `62:03` or `90` as milliseconds; nothing when it is no time. */
export function readTime(text: string): number | null {
  const found = /^\s*(?:(?:(\d{1,3}):)?(\d{1,4}):)?(\d{1,6}(?:[.,]\d{1,3})?)\s*$/.exec(text);
  if (!found) return null;
  const [, hours, minutes, seconds = ""] = found;
  const [h, m, s] = [Number(hours ?? 0), Number(minutes ?? 0), Number(seconds.replace(",", "."))];
  if (minutes !== undefined && s >= 60) return null;
  if (hours !== undefined && m >= 60) return null;
  return Math.round((h * 3600 + m * 60 + s) * 1000);
}

/** Milliseconds as `1:02:03.5`, or `2:03` when there are no hours. */
export function writeTime(ms: number): string {
  const tenths = Math.max(0, Math.round(ms / 100));
  const [seconds, minutes, hours] = [Math.floor(tenths / 10) % 60, Math.floor(tenths / 600) % 60, Math.floor(tenths / 36_000)];
  const two = (number: number) => String(number).padStart(2, "0");
  const rest = tenths % 10 ? `.${tenths % 10}` : "";
  return hours > 0 ? `${hours}:${two(minutes)}:${two(seconds)}${rest}` : `${minutes}:${two(seconds)}${rest}`;
}

/** Milliseconds as a screen reader is to say them: `1 hour 2 minutes 3.5 seconds`. */
export function spoken(ms: number): string {
  const tenths = Math.max(0, Math.round(ms / 100));
  const parts: [number, string][] = [[Math.floor(tenths / 36_000), "hour"], [Math.floor(tenths / 600) % 60, "minute"], [(tenths % 600) / 10, "second"]];
  const said = parts.filter(([count]) => count > 0).map(([count, unit]) => `${count} ${unit}${count === 1 ? "" : "s"}`);
  return said.join(" ") || "0 seconds";
}

/** Microseconds since 1970 as a date with the time of day, where the reader is. */
export function writeDate(us: number): string {
  return new Date(us / 1000).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
}

/** How long from now, in words: `in 3 days`, `2 hours ago`. */
export function fromNow(us: number, now_ms: number): string {
  const minutes = Math.round((us / 1000 - now_ms) / 60_000);
  const far = Math.abs(minutes);
  const [count, unit] = far < 90 ? [far, "minute"] : far < 2_880 ? [Math.round(far / 60), "hour"] : [Math.round(far / 1_440), "day"];
  const words = `${count} ${unit}${count === 1 ? "" : "s"}`;
  return minutes < 0 ? `${words} ago` : `in ${words}`;
}
