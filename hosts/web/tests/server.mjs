// A host as far as a page can tell: the built files, canned answers, and a note of every control connection.
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { extname, join } from "node:path";
import { fileURLToPath } from "node:url";

const DIST = fileURLToPath(new URL("../dist", import.meta.url));
const TYPES = { ".html": "text/html; charset=utf-8", ".js": "text/javascript", ".wasm": "application/wasm", ".css": "text/css" };
const PAGES = { "/": "/index.html", "/dashboard": "/dashboard.html" };

/** What a host says when a test says nothing else. */
const ANSWERS = { "/api/v1/recordings": [] };

/**
 * Starts a host with these JSON answers (by path); an answer that is a function gets the response and sends what it likes. `upgrades`
 * lists the paths of attempted WebSockets.
 */
export async function host(answers = {}, { files = DIST, headers = {} } = {}) {
  const upgrades = [];
  const server = createServer(async (request, response) => {
    const { pathname } = new URL(request.url, "http://host");
    response.setHeader("access-control-allow-origin", "*");
    for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
    const answer = answers[pathname] ?? ANSWERS[pathname];
    if (typeof answer === "function") return answer(response);
    if (answer !== undefined) {
      response.setHeader("content-type", "application/json");
      return response.end(JSON.stringify(answer));
    }
    const path = PAGES[pathname] ?? pathname;
    try {
      const bytes = await readFile(join(files, path));
      response.setHeader("content-type", TYPES[extname(path)] ?? "application/octet-stream");
      response.end(bytes);
    } catch {
      response.writeHead(404).end();
    }
  });
  server.on("upgrade", (request, socket) => {
    upgrades.push(request.url);
    socket.destroy();
  });
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  const url = `http://127.0.0.1:${server.address().port}/`;
  const close = () => {
    server.close();
    server.closeAllConnections();
  };
  return { url, upgrades, close };
}
