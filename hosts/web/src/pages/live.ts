// "Go live from this page": camera, screen or sound of the streamer, sent to the host's WHIP input.

import { type PublishState, Publisher } from "../whip.ts";

/** What is sent is counted anew this often, in milliseconds. */
const COUNT_MS = 1_000;

const WORDS: Record<PublishState, string> = {
  connecting: "Connecting …",
  live: "You are live.",
  again: "Connecting again",
  refused: "Not live",
  ended: "You are not live any more.",
};

const find = <T extends HTMLElement>(id: string): T => document.getElementById(id) as T;
const preview = find<HTMLVideoElement>("preview");
const state = find("state");
const go = find<HTMLButtonElement>("go");
const key = find<HTMLInputElement>("key");
const rate = find<HTMLSelectElement>("rate");
const sources = { camera: find("camera"), screen: find("screen"), sound: find("sound") };

let stream: MediaStream | null = null;
let publisher: Publisher | null = null;
let counted = { bytes: 0, at: 0 };

/** The input's name in the host's config, from the address. */
const input = new URLSearchParams(location.search).get("input") ?? "whip";

for (const [name, button] of Object.entries(sources)) {
  button.addEventListener("click", () => void choose(name as keyof typeof sources));
}
find<HTMLFormElement>("form").addEventListener("submit", (event) => {
  event.preventDefault();
  if (publisher) publisher.end();
  else begin();
});
addEventListener("pagehide", () => publisher?.end());
setInterval(() => void count(), COUNT_MS);
if (!navigator.mediaDevices) {
  say("refused", "Browsers give camera and screen only to pages with https:// or on localhost.");
  for (const button of Object.values(sources)) (button as HTMLButtonElement).disabled = true;
}

async function choose(name: keyof typeof sources): Promise<void> {
  try {
    const chosen = await open(name);
    for (const track of stream?.getTracks() ?? []) track.stop();
    stream = chosen;
    for (const track of chosen.getTracks()) track.addEventListener("ended", () => stream === chosen && onCaptureEnd());
    preview.srcObject = chosen;
    for (const [other, button] of Object.entries(sources)) button.setAttribute("aria-pressed", String(other === name));
    go.disabled = false;
    say("", "Ready.");
  } catch (error) {
    say("refused", `The browser gives nothing: ${(error as Error).message}`);
  }
}

/** The camera was unplugged, or the browser was told to stop sharing. */
function onCaptureEnd(): void {
  publisher?.end();
  go.disabled = true;
  say("ended", "What was shown has ended. Choose again.");
}

function open(name: keyof typeof sources): Promise<MediaStream> {
  const sound = { echoCancellation: false, noiseSuppression: false, autoGainControl: false, channelCount: 2 };
  const picture = { width: { ideal: 1280 }, height: { ideal: 720 }, frameRate: { ideal: 30 } };
  if (name === "screen") return navigator.mediaDevices.getDisplayMedia({ video: picture, audio: sound });
  return navigator.mediaDevices.getUserMedia({ video: name === "camera" ? picture : false, audio: sound });
}

function begin(): void {
  if (!stream) return;
  const endpoint = new URL(`./ingest/${encodeURIComponent(input)}`, location.href).href;
  const options = { endpoint, key: key.value.trim(), stream, videoBitsPerSecond: Number(rate.value) };
  counted = { bytes: 0, at: 0 };
  publisher = new Publisher(options, { state: onState });
  arrange();
}

function onState(now: PublishState, detail: string): void {
  say(now, detail ? `${WORDS[now]}: ${detail}` : WORDS[now]);
  if (now === "ended" || now === "refused") publisher = null;
  arrange();
}

function arrange(): void {
  go.textContent = publisher ? "End" : "Go live";
  key.disabled = rate.disabled = publisher !== null;
  for (const button of Object.values(sources)) (button as HTMLButtonElement).disabled = publisher !== null;
}

async function count(): Promise<void> {
  const sent = await publisher?.sent();
  if (!sent || state.dataset["state"] !== "live") return;
  const now = performance.now();
  const bits = counted.at ? ((sent.bytes - counted.bytes) * 8_000) / (now - counted.at) : 0;
  counted = { bytes: sent.bytes, at: now };
  if (!bits) return;
  const picture = sent.width ? `, ${sent.width} × ${sent.height}, ${Math.round(sent.fps)} pictures a second` : "";
  say("live", `${WORDS.live} ${(bits / 1e6).toFixed(1)} Mbit/s${picture}`);
}

function say(now: string, text: string): void {
  state.dataset["state"] = now;
  state.textContent = text;
}
