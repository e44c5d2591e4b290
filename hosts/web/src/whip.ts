// Publishes what a camera or screen gives over WHIP (RFC 9725).

/** All addresses of this machine are gathered within this time, or those found by then are offered, in milliseconds. */
const GATHER_MS_MAX = 2_000;
/** A lost connection is opened anew after this long, doubling up to the maximum, in milliseconds. */
const AGAIN_MS = 1_000;
const AGAIN_MS_MAX = 15_000;

/** How publishing stands. */
export type PublishState = "connecting" | "live" | "again" | "refused" | "ended";

/** What a publisher tells its page. */
export interface PublishEvents {
  /** The state, with a sentence for people where there is one. */
  state(state: PublishState, detail: string): void;
}

/** What is published, and where. */
export interface PublishOptions {
  /** The input's address, such as `https://example.org/ingest/whip`. */
  endpoint: string;
  /** The stream key. */
  key: string;
  stream: MediaStream;
  /** The most that the pictures may take, in bits per second. */
  videoBitsPerSecond: number;
}

/** Publishes one stream until it is ended; a lost connection is opened anew. */
export class Publisher {
  readonly #options: PublishOptions;
  readonly #events: PublishEvents;
  #peer: RTCPeerConnection | null = null;
  #resource: string | null = null;
  #ended = false;
  #wait = AGAIN_MS;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(options: PublishOptions, events: PublishEvents) {
    this.#options = options;
    this.#events = events;
    void this.#begin();
  }

  /** Says goodbye and ends. */
  end(): void {
    this.#finish("ended", "");
  }

  /** What is sent, as the browser counts it. */
  async sent(): Promise<{ bytes: number; width: number; height: number; fps: number } | null> {
    const stats = await this.#peer?.getStats();
    if (!stats) return null;
    const sent = { bytes: 0, width: 0, height: 0, fps: 0 };
    for (const entry of stats.values()) {
      if (entry.type !== "outbound-rtp") continue;
      sent.bytes += entry.bytesSent ?? 0;
      if (entry.kind === "video") Object.assign(sent, { width: entry.frameWidth ?? 0, height: entry.frameHeight ?? 0, fps: entry.framesPerSecond ?? 0 });
    }
    return sent;
  }

  async #begin(): Promise<void> {
    this.#events.state("connecting", "");
    const peer = new RTCPeerConnection();
    this.#peer = peer;
    try {
      for (const track of this.#options.stream.getTracks()) this.#add(peer, track);
      peer.addEventListener("connectionstatechange", () => this.#onState(peer));
      await peer.setLocalDescription();
      await gathered(peer);
      const answer = await this.#offer(peer.localDescription?.sdp ?? "");
      if (answer !== null && this.#peer === peer) await peer.setRemoteDescription({ type: "answer", sdp: answer });
    } catch (error) {
      this.#again(peer, String(error));
    }
  }

  #add(peer: RTCPeerConnection, track: MediaStreamTrack): void {
    const encodings = track.kind === "video" ? [{ maxBitrate: this.#options.videoBitsPerSecond }] : [{ maxBitrate: 128_000 }];
    const transceiver = peer.addTransceiver(track, { direction: "sendonly", sendEncodings: encodings });
    if (track.kind === "video") transceiver.setCodecPreferences(h264First());
  }

  /** Sends the offer; the answer, or nothing if this publisher is over. */
  async #offer(sdp: string): Promise<string | null> {
    if (this.#ended) return null;
    const { endpoint, key } = this.#options;
    const headers = { "Content-Type": "application/sdp", Authorization: `Bearer ${key}` };
    const response = await fetch(endpoint, { method: "POST", headers, body: sdp });
    const text = await response.text();
    if (response.status !== 201) {
      // After a lost connection it may be this page's own publication that is still on air.
      const passing = response.status >= 500 || response.status === 429 || (response.status === 409 && this.#wait > AGAIN_MS);
      if (passing) throw new Error(text.trim());
      this.#finish("refused", text.trim() || `the host answers ${response.status}`);
      return null;
    }
    const location = response.headers.get("Location");
    this.#resource = location && new URL(location, endpoint).href;
    if (!this.#ended) return text;
    this.#leave();
    return null;
  }

  #onState(peer: RTCPeerConnection): void {
    if (this.#peer !== peer || this.#ended) return;
    if (peer.connectionState === "connected") {
      this.#wait = AGAIN_MS;
      this.#events.state("live", "");
    } else if (peer.connectionState === "failed") {
      this.#again(peer, "the connection is lost");
    }
  }

  #again(peer: RTCPeerConnection, why: string): void {
    if (this.#peer !== peer || this.#ended) return;
    this.#leave();
    peer.close();
    this.#events.state("again", why);
    this.#timer = setTimeout(() => void this.#begin(), this.#wait);
    this.#wait = Math.min(this.#wait * 2, AGAIN_MS_MAX);
  }

  #finish(state: PublishState, detail: string): void {
    if (this.#ended) return;
    this.#ended = true;
    clearTimeout(this.#timer);
    this.#leave();
    this.#peer?.close();
    this.#events.state(state, detail);
  }

  /** Gives the address back, also while the page is being closed. */
  #leave(): void {
    const resource = this.#resource;
    this.#resource = null;
    if (!resource) return;
    const headers = { Authorization: `Bearer ${this.#options.key}` };
    fetch(resource, { method: "DELETE", headers, keepalive: true }).catch(() => undefined);
  }
}

/** The codecs of pictures that this browser sends, H.264 before all others. */
function h264First(): RTCRtpCodec[] {
  const codecs = RTCRtpSender.getCapabilities("video")?.codecs ?? [];
  const rank = ({ mimeType }: RTCRtpCodec): number => (mimeType.toLowerCase() === "video/h264" ? 0 : 1);
  return [...codecs].sort((a, b) => rank(a) - rank(b));
}

function gathered(peer: RTCPeerConnection): Promise<void> {
  return new Promise((done) => {
    if (peer.iceGatheringState === "complete") return done();
    setTimeout(done, GATHER_MS_MAX);
    peer.addEventListener("icegatheringstatechange", () => peer.iceGatheringState === "complete" && done());
  });
}
