// A recording's own page, `/recordings/ID`: plays it from its playlist, and lets the reader pick a part of it to report.

import { fetchFacts } from "../facts.ts";
import { caption, fetchRecordings } from "../recordings.ts";
import { formAddress } from "../report.ts";
import { Picker } from "../takedown/picker.ts";
import { RANGE_MS_MAX, rangeOf } from "../takedown/range.ts";
import { Tape } from "../tape.ts";

const id = location.pathname.split("/").pop() ?? "";
const base = new URL("../", location.href).href;
const playlist = new URL(`hls/${id}/index.m3u8`, base).href + location.search;
const video = document.querySelector("video");
const says = document.querySelector("[role=status]");
const link = document.querySelector<HTMLAnchorElement>("a.playlist");
if (link) link.textContent = link.href = playlist;

/** The broadcast that this is of. */
let epoch: number | null = null;

const named = fetchRecordings(base).then((all) => {
  const recording = all.find((one) => one.id === decodeURIComponent(id));
  const heading = document.querySelector("h1");
  if (recording && heading) document.title = heading.textContent = caption(recording);
  epoch = recording?.starts_ms ?? null;
});

if (video) {
  const tape = new Tape(video, playlist);
  addEventListener("pagehide", () => tape.close());
  tape.play().catch((error: Error) => {
    if (says) says.textContent = error.message;
  });
  void Promise.all([fetchFacts([base]), named]).then(([facts]) => {
    if (facts?.takedown) offerReport(video, tape);
  });
}

function offerReport(video: HTMLVideoElement, tape: Tape): void {
  const [section, button, place, send] = [".report", ".pick", "#picking", ".send"].map((name) => document.querySelector<HTMLElement>(name));
  const form = send?.querySelector("a");
  if (!section || !button || !place || !send || !form) return;
  const picker = new Picker(video, RANGE_MS_MAX / 1000, (span) => {
    const range = rangeOf(tape.playlist.parts, span);
    send.hidden = range === null;
    if (range) form.href = formAddress(base, { epoch, ...range });
  });
  place.append(picker.element);
  button.addEventListener("click", () => {
    place.hidden = !place.hidden;
    button.setAttribute("aria-expanded", String(!place.hidden));
  });
  section.hidden = false;
}
