// The link in the mail leads here. Nothing is confirmed before the reader says so: programs that scan mails follow links.

import { find, say } from "../dashboard/dom.ts";
import { ask, type Claim, Refused } from "../takedown/api.ts";
import { download } from "../takedown/download.ts";
import { recall } from "../takedown/pending.ts";

const token = location.hash.slice(1);
// The token is used once; it need not stay in the history.
history.replaceState(null, "", location.pathname);

const button = find<HTMLButtonElement>(".confirm");
if (token === "") {
  button.disabled = true;
  say(find(".fault"), "This is not the whole link. Copy all of it from the mail.");
}
button.addEventListener("click", () => void confirm());

async function confirm(): Promise<void> {
  button.disabled = true;
  try {
    const claim = await ask<Claim>("POST", "confirm", { body: { token } });
    find(".ask").hidden = true;
    find(".done").hidden = false;
    say(find(".done-case"), String(claim.case));
    say(find(".done-text"), claim.missing.length > 0 ? "Something is missing: complete it with the link below." : "Somebody will read it and decide.");
    const own = await recall((kept) => ask("GET", `cases/${claim.case}`, { token: kept }).then(() => true, () => false));
    find<HTMLAnchorElement>(".to-status").href = own === null ? "./status" : `./status#case=${claim.case}&token=${own}`;
    find(".keep").hidden = own === null;
    find(".receipt").addEventListener("click", () => download(`receipt-${claim.case}.json`, claim.receipt));
    find(".done").focus();
  } catch (error) {
    const over = error instanceof Refused && error.code === "expired";
    button.disabled = over;
    say(find(".fault"), over ? "This link was used already, or is too old. If you have not confirmed, send the report again." : (error as Error).message);
  }
}
