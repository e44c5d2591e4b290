// How much memory the processes of a measurement hold.
import { readdirSync, readFileSync } from "node:fs";

/** One file of a process, or nothing when it has ended. */
function read(pid, name) {
  try {
    return readFileSync(`/proc/${pid}/${name}`, "utf8");
  } catch {
    return "";
  }
}

const residentKb = (pid) => Number(/VmRSS:\s+(\d+)/.exec(read(pid, "status"))?.[1] ?? 0);

/** Processes that this one has started, and those that they have started. */
function descendants() {
  const children = new Map();
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    const parent = Number(/PPid:\s+(\d+)/.exec(read(pid, "status"))?.[1]);
    children.set(parent, [...(children.get(parent) ?? []), Number(pid)]);
  }
  const found = [process.pid];
  for (const pid of found) found.push(...(children.get(pid) ?? []));
  return found;
}

/** Resident megabytes of the host, and of the largest process that shows a page in each browser. */
export function residentMb(host) {
  const largest = { chromium: 0, firefox: 0 };
  for (const pid of descendants()) {
    const line = read(pid, "cmdline");
    const browser = line.includes("--type=renderer") ? "chromium" : /firefox.*-contentproc.*tab/s.test(line) ? "firefox" : undefined;
    if (browser) largest[browser] = Math.max(largest[browser], residentKb(pid));
  }
  const mb = (kb) => Math.round(kb / 102.4) / 10;
  return { host_mb: mb(residentKb(host)), chromium_mb: mb(largest.chromium), firefox_mb: mb(largest.firefox) };
}
