// A recording's own page, `/recordings/ID`: plays it from its playlist.

import { caption, fetchRecordings } from "../recordings.ts";
import { Tape } from "../tape.ts";

const id = location.pathname.split("/").pop() ?? "";
const base = new URL("../", location.href).href;
const playlist = new URL(`hls/${id}/index.m3u8`, base).href + location.search;
const video = document.querySelector("video");
const says = document.querySelector("[role=status]");
const link = document.querySelector<HTMLAnchorElement>("a.playlist");
if (link) link.textContent = link.href = playlist;

void fetchRecordings(base).then((all) => {
  const recording = all.find((one) => one.id === decodeURIComponent(id));
  const heading = document.querySelector("h1");
  if (recording && heading) document.title = heading.textContent = caption(recording);
});

if (video) {
  const tape = new Tape(video, playlist);
  addEventListener("pagehide", () => tape.close());
  tape.play().catch((error: Error) => {
    if (says) says.textContent = error.message;
  });
}
