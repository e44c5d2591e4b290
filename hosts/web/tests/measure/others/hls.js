// Plays with hls.js; `SYNC` is put in when it is bundled.
import Hls from "hls.js";

import { watchStalls } from "./stalls.js";

const video = document.querySelector("video");
watchStalls(video);
const hls = new Hls({ liveSyncDurationCount: SYNC, maxLiveSyncPlaybackRate: 1.1 });
hls.loadSource("/hls/measured.m3u8");
hls.attachMedia(video);
