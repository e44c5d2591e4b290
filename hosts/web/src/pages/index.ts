// The page around the player: its title and the publisher's key come from the host.

import { make } from "../dom.ts";
import type { Facts } from "../facts.ts";
import { caption, fetchRecordings } from "../recordings.ts";

document.addEventListener("peerstream-facts", (event) => {
  const facts = (event as CustomEvent<Facts>).detail;
  if (facts.title) show(facts.title);
  if (facts.publisher) showKey(facts.publisher);
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
  const past = (await fetchRecordings(document.baseURI)).filter(({ live }) => !live).slice(0, SHOWN_MAX);
  const section = document.querySelector<HTMLElement>(".recordings");
  const links = past.map((recording) => make("li", {}, make("a", { href: `recordings/${encodeURIComponent(recording.id)}` }, caption(recording))));
  section?.querySelector("ul")?.replaceChildren(...links);
  if (section) section.hidden = past.length === 0;
}

void showRecordings();
// When the broadcast is over there is one more.
document.addEventListener("peerstream-state", (event) => {
  if ((event as CustomEvent<string>).detail === "ended") setTimeout(() => void showRecordings(), 2_000);
});
