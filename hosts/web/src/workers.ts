// Workers from a text: the one script of a page brings them along, whatever its address and its page's origin.

interface ScriptUrls {
  createScriptURL(url: string): string;
}
interface TrustedTypes {
  createPolicy(name: string, rules: ScriptUrls): ScriptUrls;
}

let policy: ScriptUrls | null = null;

/** A Worker that runs a classic script; nothing where the page forbids it at once. A page may also forbid it later: `onerror` tells. */
export function startWorker(script: string): Worker | null {
  const url = URL.createObjectURL(new Blob([script], { type: "text/javascript" }));
  try {
    return new Worker(trusted(url));
  } catch {
    URL.revokeObjectURL(url);
    return null;
  }
}

/** Where a page enforces trusted types, its policy decides whether `peerstream` may name scripts. */
function trusted(url: string): string {
  const { trustedTypes } = self as { trustedTypes?: TrustedTypes };
  policy ??= trustedTypes?.createPolicy("peerstream", { createScriptURL: (url) => url }) ?? null;
  return policy?.createScriptURL(url) ?? url;
}
