// Moments after which connections may be dead although nothing was heard of it.

/** What a browser knows of its network; not all of them tell. */
type NetworkInformation = EventTarget;

/** Calls `woke` when the page was frozen, or the machine's network has changed, until the signal. */
export function watchSleep(woke: () => void, signal: AbortSignal): void {
  self.addEventListener("online", woke, { signal });
  document.addEventListener("resume", woke, { signal });
  const network = (navigator as { connection?: NetworkInformation }).connection;
  network?.addEventListener?.("change", woke, { signal });
}
