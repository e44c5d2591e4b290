// All links of one node.

import { Link, type LinkEvents, type Surroundings } from "./link.ts";
import type { PeerEvents } from "./peers.ts";
import type { Bytes, Side } from "./records.ts";

/** Links by the numbers the node gave them. What the page says of their connections comes in as [PeerEvents]. */
export class Links implements PeerEvents {
  readonly #surroundings: Surroundings;
  readonly #links = new Map<number, Link>();
  readonly #sent = new Set<Link>();

  constructor(surroundings: Surroundings) {
    const forget = (link: number): void => void this.#links.delete(link);
    this.#surroundings = { ...surroundings, events: forgetting(surroundings.events, forget) };
  }

  /** Starts a link. */
  open(id: number, side: Side, ice: RTCConfiguration): void {
    this.#links.set(id, new Link(id, this.#surroundings));
    this.#surroundings.peers.openPeer(id, side, ice);
  }

  /** Hands a set-up message to a link. */
  signal(id: number, message: Bytes): void {
    this.#links.get(id)?.signal(message);
  }

  /** Sends a frame on a link. */
  send(id: number, lane: number, frame: Bytes): void {
    const link = this.#links.get(id);
    if (!link) return;
    link.send(lane, frame);
    this.#sent.add(link);
  }

  /** After a round of orders: the links that were used tell their credit where it is due. */
  settle(): void {
    const sent = [...this.#sent];
    this.#sent.clear();
    for (const link of sent) link.settle();
  }

  /** Closes a link. */
  close(id: number): void {
    this.#links.get(id)?.close();
    this.#links.delete(id);
  }

  /** Closes all links. */
  closeAll(): void {
    for (const id of [...this.#links.keys()]) this.close(id);
  }

  peerChannels(id: number, ...channels: [RTCDataChannel, RTCDataChannel]): void {
    const link = this.#links.get(id);
    if (link) link.join(channels);
    else for (const channel of channels) channel.close();
  }

  peerDescribed(id: number, side: Side, sdp: string): void {
    this.#links.get(id)?.described(side, sdp);
  }

  peerCandidate(id: number, line: string): void {
    this.#links.get(id)?.candidate(line);
  }

  peerFailed(id: number): void {
    this.#links.get(id)?.end();
  }
}

function forgetting(events: LinkEvents, forget: (link: number) => void): LinkEvents {
  return {
    linkUp: (link, credit) => events.linkUp(link, credit),
    linkSignal: (link, message) => events.linkSignal(link, message),
    frame: (link, lane, frame) => events.frame(link, lane, frame),
    writable: (link, credit) => events.writable(link, credit),
    linkDown: (link) => (forget(link), events.linkDown(link)),
    linkFailed: (link) => (forget(link), events.linkFailed(link)),
  };
}
