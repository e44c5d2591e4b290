// The page's half of links: the WebRTC connections, which only a page can make. Their channels go to where the engine runs.

import type { Expanded } from "./core.ts";
import type { Side } from "./records.ts";

/** Candidates of the other side that come before its description wait, at most so many. */
const EARLY_CANDIDATES_MAX = 32;
/** The numbers of the channels, which are those of the lanes. */
const [CONTROL, PIECES] = [0, 1];

/** What connections tell; after `peerFailed` nothing follows. */
export interface PeerEvents {
  /** The channels of a connection, before anything can have come through them. */
  peerChannels(link: number, control: RTCDataChannel, pieces: RTCDataChannel): void;
  /** The description that the other side needs. */
  peerDescribed(link: number, side: Side, sdp: string): void;
  /** An address where this side may be reached; empty when no more follow. */
  peerCandidate(link: number, line: string): void;
  /** It cannot be made, or has ended. */
  peerFailed(link: number): void;
}

/** What can be asked of connections, by the numbers of their links. */
export interface PeerCalls {
  openPeer(link: number, side: Side, ice: RTCConfiguration): void;
  /** What the other side says. */
  tellPeer(link: number, said: Expanded): void;
  /** Ends a connection; nothing more is told of it. */
  closePeer(link: number): void;
}

/** All connections of one node. */
export class Peers implements PeerCalls {
  readonly #events: PeerEvents;
  readonly #peers = new Map<number, Peer>();

  constructor(events: PeerEvents) {
    this.#events = events;
  }

  openPeer(link: number, side: Side, ice: RTCConfiguration): void {
    try {
      const peer = new Peer(ice, {
        described: (side, sdp) => this.#events.peerDescribed(link, side, sdp),
        candidate: (line) => this.#events.peerCandidate(link, line),
        failed: () => this.#failed(link),
      });
      this.#peers.set(link, peer);
      this.#events.peerChannels(link, ...peer.channels);
      if (side === "offer") peer.offer();
    } catch (error) {
      // A browser has a limit of connections.
      console.warn("peerstream: no link:", error);
      this.#failed(link);
    }
  }

  tellPeer(link: number, said: Expanded): void {
    this.#peers.get(link)?.take(said);
  }

  closePeer(link: number): void {
    this.#peers.get(link)?.close();
    this.#peers.delete(link);
  }

  /** Ends all connections. */
  closeAll(): void {
    for (const link of [...this.#peers.keys()]) this.closePeer(link);
  }

  #failed(link: number): void {
    this.closePeer(link);
    this.#events.peerFailed(link);
  }
}

interface Told {
  described(side: Side, sdp: string): void;
  candidate(line: string): void;
  failed(): void;
}

/** One connection with its two channels. */
class Peer {
  readonly #told: Told;
  readonly #peer: RTCPeerConnection;
  readonly channels: readonly [RTCDataChannel, RTCDataChannel];
  #closed = false;
  #described = false;
  #ownCandidates: string[] = [];
  #theirCandidates: string[] = [];

  /** Throws when the browser makes no more connections. */
  constructor(ice: RTCConfiguration, told: Told) {
    this.#told = told;
    this.#peer = new RTCPeerConnection(ice);
    this.channels = [
      this.#peer.createDataChannel("control", { negotiated: true, id: CONTROL, ordered: true }),
      this.#peer.createDataChannel("pieces", { negotiated: true, id: PIECES, ordered: false }),
    ];
    this.#peer.onicecandidate = ({ candidate }) => this.#tell(candidate?.candidate ?? "");
    this.#peer.onconnectionstatechange = () => {
      if (["failed", "closed"].includes(this.#peer.connectionState)) this.#told.failed();
    };
  }

  /** Begins, as the side that offers. */
  offer(): void {
    this.#attempt(this.#describe("offer"));
  }

  take(said: Expanded): void {
    if (said.kind === "candidate") this.#takeCandidate(said.text);
    else if (said.kind !== "end") this.#attempt(this.#takeDescription(said.kind, said.text));
  }

  close(): void {
    this.#closed = true;
    this.#peer.onicecandidate = this.#peer.onconnectionstatechange = null;
    this.#peer.close();
  }

  async #describe(side: Side): Promise<void> {
    await this.#peer.setLocalDescription();
    const sdp = this.#peer.localDescription?.sdp;
    if (this.#closed || !sdp) return;
    this.#told.described(side, sdp);
    this.#described = true;
    for (const line of this.#ownCandidates.splice(0)) this.#tell(line);
  }

  async #takeDescription(type: Side, sdp: string): Promise<void> {
    await this.#peer.setRemoteDescription({ type, sdp });
    for (const line of this.#theirCandidates.splice(0)) this.#takeCandidate(line);
    if (type === "offer") await this.#describe("answer");
  }

  #tell(line: string): void {
    if (!this.#described) this.#ownCandidates.push(line);
    else if (!this.#closed) this.#told.candidate(line);
  }

  #takeCandidate(candidate: string): void {
    if (!this.#peer.remoteDescription) {
      if (this.#theirCandidates.length < EARLY_CANDIDATES_MAX) this.#theirCandidates.push(candidate);
      return;
    }
    // One that is of no use is no reason to give up the others.
    this.#peer.addIceCandidate({ candidate, sdpMid: "0", sdpMLineIndex: 0 }).catch(() => undefined);
  }

  #attempt(step: Promise<void>): void {
    step.catch(() => !this.#closed && this.#told.failed());
  }
}
