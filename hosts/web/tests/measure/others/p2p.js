// Plays with hls.js and p2p-media-loader; `SYNC` and `TRACKER` are put in when it is bundled.
import Hls from "hls.js";
import { HlsJsP2PEngine } from "p2p-media-loader-hlsjs";

import { watchStalls } from "./stalls.js";

const video = document.querySelector("video");
watchStalls(video);
globalThis.bytes = { http: 0, p2p: 0 };
const HlsWithPeers = HlsJsP2PEngine.injectMixin(Hls);
const hls = new HlsWithPeers({
  liveSyncDurationCount: SYNC,
  maxLiveSyncPlaybackRate: 1.1,
  p2p: {
    core: { swarmId: "measured", announceTrackers: [TRACKER], rtcConfig: { iceServers: [] } },
    onHlsJsCreated: (made) =>
      made.p2pEngine.addEventListener("onChunkDownloaded", (length, source) => (globalThis.bytes[source] += length)),
  },
});
hls.loadSource("/hls/measured.m3u8");
hls.attachMedia(video);
