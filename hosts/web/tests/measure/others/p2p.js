// Plays with hls.js and p2p-media-loader; `SYNC`, `TRACKER` and `DEMAND_S` are put in when it is bundled. `?demand=` in the address gives this
// page another window of high demand.
import Hls from "hls.js";
import { HlsJsP2PEngine } from "p2p-media-loader-hlsjs";

import { watchStalls } from "./stalls.js";

const video = document.querySelector("video");
watchStalls(video);
globalThis.bytes = { http: 0, p2p: 0 };
globalThis.swarm = { peers: 0, failed: 0, warnings: 0 };
const on = {
  onChunkDownloaded: (length, source) => (globalThis.bytes[source] += length),
  onPeerConnect: () => (globalThis.swarm.peers += 1),
  onPeerClose: () => (globalThis.swarm.peers -= 1),
  onPeerError: () => (globalThis.swarm.failed += 1),
  onTrackerWarning: () => (globalThis.swarm.warnings += 1),
  onTrackerError: () => (globalThis.swarm.warnings += 1),
};
const demand = new URLSearchParams(location.search).get("demand");
const HlsWithPeers = HlsJsP2PEngine.injectMixin(Hls);
const hls = new HlsWithPeers({
  liveSyncDurationCount: SYNC,
  maxLiveSyncPlaybackRate: 1.1,
  p2p: {
    core: {
      swarmId: "measured",
      announceTrackers: [TRACKER],
      rtcConfig: { iceServers: [] },
      // What is nearer to the play head is fetched over HTTP at once, whoever else has it.
      highDemandTimeWindow: Number(demand ?? DEMAND_S),
    },
    onHlsJsCreated: (made) => {
      for (const [name, listener] of Object.entries(on)) made.p2pEngine.addEventListener(name, listener);
    },
  },
});
hls.loadSource("/hls/measured.m3u8");
hls.attachMedia(video);
