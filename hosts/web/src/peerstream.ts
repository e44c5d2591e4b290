// The one script of a page: defines `<peerstream-player>`.

import { PeerstreamPlayer } from "./element.ts";
import type { Facts } from "./facts.ts";
import type { ElementStatus, StateName } from "./status.ts";

export { PeerstreamPlayer };
export type { ElementStatus, Facts, StateName };

if (!customElements.get("peerstream-player")) customElements.define("peerstream-player", PeerstreamPlayer);

declare global {
  interface HTMLElementTagNameMap {
    "peerstream-player": PeerstreamPlayer;
  }
  interface HTMLElementEventMap {
    "peerstream-state": CustomEvent<StateName>;
    "peerstream-facts": CustomEvent<Facts>;
    "peerstream-title": CustomEvent<string>;
    "peerstream-segment": CustomEvent<{ seq: number; bytes: Uint8Array }>;
  }
}
