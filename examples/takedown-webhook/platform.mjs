// A platform's own workflow for complaints: a program without dependencies that a PeerStream host asks.
//
//   PEERSTREAM_WEBHOOK_SECRET=... node platform.mjs [port]
//
// What it does with a case: who is known and has never been wrong is believed at once, for a range that is not too long; who is blocked is
// refused; the rest is left to people (`queue`), who decide in the host's own queue. Each case is written down before it is answered.
import { createHmac, timingSafeEqual } from "node:crypto";
import { appendFileSync, existsSync, readFileSync } from "node:fs";
import { createServer } from "node:http";

const SECRET = process.env.PEERSTREAM_WEBHOOK_SECRET ?? "";
const LOG = process.env.PEERSTREAM_WEBHOOK_LOG ?? "cases.jsonl";
/** Mail addresses that are believed, and that are not, with blanks between them. */
const TRUSTED = new Set((process.env.PEERSTREAM_WEBHOOK_TRUSTED ?? "").split(/\s+/).filter(Boolean));
const BLOCKED = new Set((process.env.PEERSTREAM_WEBHOOK_BLOCKED ?? "").split(/\s+/).filter(Boolean));
/** A post that is older is refused, in seconds: it may have been recorded by somebody. */
const AGE_S_MAX = 300;
/** A post is no larger, in bytes. */
const BODY_BYTES_MAX = 1024 * 1024;
/** A longer range is hidden by a person only, in milliseconds. */
const RANGE_MS_MAX = 10 * 60 * 1000;

if (SECRET.length < 16) {
  console.error("PEERSTREAM_WEBHOOK_SECRET is too short: at least 16 bytes, the same as in the host's config");
  process.exit(2);
}

/** Whether a post is the host's, and of now. The header is `t=SECONDS,v1=HEX`: an HMAC-SHA256 over `SECONDS.BODY`. */
function isGenuine(header, body, now_s) {
  const [, at, given] = /^t=(\d{1,12}),v1=([0-9a-f]{64})$/.exec(header ?? "") ?? [];
  if (at === undefined || Math.abs(now_s - Number(at)) > AGE_S_MAX) return false;
  const expected = createHmac("sha256", SECRET).update(`${at}.`).update(body).digest();
  return timingSafeEqual(expected, Buffer.from(given, "hex"));
}

/** What was answered before: a host that did not hear an answer asks again with the same name, and must get the same one. */
const answered = new Map();
if (existsSync(LOG)) {
  for (const line of readFileSync(LOG, "utf8").split("\n").filter(Boolean)) {
    const { delivery, decision } = JSON.parse(line);
    if (delivery) answered.set(delivery, decision);
  }
}

function decide({ notice }) {
  const email = (notice.claimant?.email ?? "").toLowerCase();
  const { from_ms, to_ms } = notice.material ?? {};
  if (BLOCKED.has(email)) return { decision: "reject", reason: "This address has sent unfounded reports and was told so." };
  const short = Number.isInteger(from_ms) && Number.isInteger(to_ms) && to_ms - from_ms <= RANGE_MS_MAX;
  if (!TRUSTED.has(email) || !short) return { decision: "queue" };
  const actions = [{ action: "hide-range", from_ms, to_ms }, { action: "notify-publisher" }];
  return { decision: "act", actions, note: "a trusted claimant; the platform's own rules" };
}

function answer(delivery, message) {
  if (message.event !== "assess") {
    // Only news: somebody decided, or time passed.
    appendFileSync(LOG, `${JSON.stringify({ news: message })}\n`);
    return null;
  }
  if (!answered.has(delivery)) {
    const decision = decide(message.case);
    appendFileSync(LOG, `${JSON.stringify({ delivery, decision, case: message.case })}\n`);
    answered.set(delivery, decision);
  }
  return answered.get(delivery);
}

function respond(response, status, value = null) {
  response.writeHead(status, value === null ? {} : { "content-type": "application/json" });
  response.end(value === null ? undefined : JSON.stringify(value));
}

const server = createServer((request, response) => {
  const parts = [];
  let size = 0;
  request.on("data", (part) => {
    size += part.length;
    if (size <= BODY_BYTES_MAX) parts.push(part);
  });
  request.on("end", () => {
    const body = Buffer.concat(parts);
    if (request.method !== "POST") return respond(response, 405);
    if (size > BODY_BYTES_MAX) return respond(response, 413);
    if (!isGenuine(request.headers["peerstream-signature"], body, Date.now() / 1000)) return respond(response, 401);
    try {
      const told = answer(String(request.headers["peerstream-delivery"]), JSON.parse(body));
      respond(response, told === null ? 204 : 200, told);
    } catch (error) {
      console.error("a case could not be handled:", error.message);
      respond(response, 500);
    }
  });
});
server.listen(Number(process.argv[2] ?? 8090), "127.0.0.1", () => console.log(`waiting for cases at http://127.0.0.1:${server.address().port}/`));
