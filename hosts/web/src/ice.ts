// Which servers help a link to find a path.

/** Stands for the host of the control connection, as in `stun:?:3478`; a coordinator may not know its own name. */
const ENDPOINT_HOST = /^(stuns?:)\?(?=:|$)/;

/**
 * The servers a browser accepts. TURN servers are left out: without credentials, which a url cannot carry, the browser would refuse the
 * whole connection.
 */
export function iceServers(urls: readonly string[], endpoint: string | null): RTCIceServer[] {
  const host = endpoint === null ? null : new URL(endpoint).hostname;
  return urls
    .filter((url) => host !== null || !ENDPOINT_HOST.test(url))
    .map((url) => url.replace(ENDPOINT_HOST, (_, scheme: string) => scheme + host))
    .filter((url) => /^stuns?:[\w.[\]:-]+$/.test(url))
    .map((urls) => ({ urls }));
}
