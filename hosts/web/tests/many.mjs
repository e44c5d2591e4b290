// A host that tells of many nodes, for the dashboard.
import { host } from "./server.mjs";

const INPUT = { on_air: null, publications: 1, refused: 0, advice: [], instructions: [] };
const STREAM = { title: "Many", publisher: "ab", epoch: 1, mime: null };
const SESSION = { role: "owner", budget_mbps: 0, problem: null, link: "x", ...STREAM, ...INPUT };

/** Starts it. */
export const manyNodes = (count) =>
  host({ "/api/v1/dashboard/session": SESSION, "/api/v1/dashboard/feed": feedOf(count) });

/** A host's feed of so many nodes, of which all have another lag every second. */
function feedOf(count) {
  const put = [[0, "s", null, 0, [], null, null, 2, 7, 0]];
  for (let name = 1; name < count; name += 1) {
    const position = Math.ceil(name / 2);
    const above = Math.floor(position / 2);
    const parent = above === 0 ? 0 : 2 * above - (name % 2);
    const place = `${name % 2 ? "A" : "B"}${position}`;
    put.push([name, "v", place, Math.floor(Math.log2(position)) + 1, [parent], null, null, 2, 7, 0]);
  }
  return (response) => {
    response.setHeader("content-type", "text/event-stream");
    const send = (message) => response.write(`data: ${JSON.stringify(message)}\n\n`);
    let second = 0;
    const fixed = { viewers: count - 1, depth: 10, listed: true, lag_p50: 700, levels: [], state: "live" };
  const sums = () => ({ now_ms: second * 1000, ...fixed });
    const lags = () => put.map(([name]) => [name, 600 + ((name * 7 + second * 131) % 400)]);
    send({ all: true, put, sums: sums(), lag: lags(), course: [], moments: { rows: [], more: 0 } });
    const timer = setInterval(() => {
      second += 1;
      const name = 1 + ((second * 37) % (count - 1));
      send({ sums: sums(), lag: lags(), put: [put[name]], moments: { rows: [[second * 1000, name, "rescued", 1]], more: 0 } });
    }, 1_000);
    response.on("close", () => clearInterval(timer));
  };
}
