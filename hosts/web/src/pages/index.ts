// The page around the player: its title and the publisher's key come from the host.

import { make } from "../dom.ts";
import type { Facts } from "../facts.ts";
import { caption, fetchRecordings } from "../recordings.ts";

/** The picture comes first: recordings are asked for so much later, in milliseconds. */
const RECORDINGS_AFTER_MS = 1_000;

/** The host that the player has found; a copy of the page may be anywhere. */
let host = document.baseURI;

document.addEventListener("peerstream-facts", (event) => {
  const facts = (event as CustomEvent<Facts>).detail;
  if (facts.title) show(facts.title);
  if (facts.publisher) showKey(facts.publisher);
  if (facts.endpoint) host = facts.endpoint;
  setTimeout(() => void showRecordings(), RECORDINGS_AFTER_MS);
});

function show(title: string): void {
  document.title = title;
  const heading = document.querySelector("h1");
  if (heading) heading.textContent = title;
}

function showKey(publisher: string): void {
  const line = document.querySelector<HTMLElement>(".key");
  const code = line?.querySelector("code");
  if (!line || !code) return;
  code.textContent = publisher;
  line.hidden = false;
}

/** Recordings that are shown. */
const SHOWN_MAX = 20;

async function showRecordings(): Promise<void> {
  const past = (await fetchRecordings(host)).filter(({ live }) => !live).slice(0, SHOWN_MAX);
  const section = document.querySelector<HTMLElement>(".recordings");
  const links = past.map((recording) => make("li", {}, make("a", { href: new URL(`recordings/${encodeURIComponent(recording.id)}`, host).href }, caption(recording))));
  section?.querySelector("ul")?.replaceChildren(...links);
  if (section) section.hidden = past.length === 0;
}

// When the broadcast is over there is one more.
document.addEventListener("peerstream-state", (event) => {
  if ((event as CustomEvent<string>).detail === "ended") setTimeout(() => void showRecordings(), 2_000);
});
