// What is said about relaying, and how much of it there is: by the page that embeds the player, and where that is silent, by the host.

/** How the viewer learns of it: asked before anything is relayed, told that the page relays, or neither. */
export type Consent = "ask" | "inform" | "silent";

const CONSENTS: readonly string[] = ["ask", "inform", "silent"] satisfies Consent[];

/** The host's words, from its config; see `hosts/peerstream/src/player.rs`. */
export interface HostPolicy {
  consent?: string;
  metered?: string;
  notice?: string | null;
  notice_href?: string | null;
  upload_mbps?: number | null;
}

/** What holds in one page. */
export interface Policy {
  consent: Consent;
  /** Relaying on lines that cost by the byte, and where the viewer asks pages to save data. */
  metered: boolean;
  /** The words of the notice; nothing for the usual ones. */
  notice: string | null;
  /** Where more is to be read. */
  href: string | null;
  /** Megabits per second that may be uploaded; nothing without a cap. */
  upload_mbps: number | null;
}

/** What holds where a page says this with its attributes, and its host that. Neither is trusted to say something that makes sense. */
export function policyOf(attribute: (name: string) => string | null, host: HostPolicy | undefined): Policy {
  const consents = [attribute("consent"), host?.consent];
  const metered = [attribute("metered"), host?.metered].find((word) => word === "relay" || word === "rest");
  const cap = attribute("upload-mbps");
  return {
    consent: (consents.find((word) => CONSENTS.includes(word ?? "")) ?? "inform") as Consent,
    metered: metered === "relay",
    notice: attribute("notice") ?? text(host?.notice),
    href: attribute("notice-href") ?? text(host?.notice_href),
    upload_mbps: amount(cap === null ? null : Number(cap)) ?? amount(host?.upload_mbps),
  };
}

function text(value: unknown): string | null {
  return typeof value === "string" ? value : null;
}

function amount(value: unknown): number | null {
  return typeof value === "number" && value >= 0 ? value : null;
}
