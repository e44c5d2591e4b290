// Counts how often an element waits for data once it has played.

export function watchStalls(video) {
  globalThis.stalls = 0;
  let played = false;
  video.addEventListener("playing", () => (played = true));
  video.addEventListener("waiting", () => (globalThis.stalls += played ? 1 : 0));
}
