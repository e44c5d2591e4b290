// The page around the player: its title and the publisher's key come from the host.

import type { Facts } from "../facts.ts";

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
