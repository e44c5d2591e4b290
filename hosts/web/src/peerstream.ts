// The one script of a page: defines `<peerstream-player>`.

import { PeerstreamPlayer } from "./element.ts";

export { PeerstreamPlayer };

if (!customElements.get("peerstream-player")) customElements.define("peerstream-player", PeerstreamPlayer);

declare global {
  interface HTMLElementTagNameMap {
    "peerstream-player": PeerstreamPlayer;
  }
}
