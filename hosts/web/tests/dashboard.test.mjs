// The dashboard before a real host with real pages, and before one that tells of two thousand nodes.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { after, afterEach, before, test } from "node:test";

import { crash, hasChromium, launch, openPages, status, until, untilLive } from "./browser.mjs";
import { binary, startDemo } from "./demo.mjs";
import { manyNodes } from "./many.mjs";

const missing = !binary ? "the host is not built: cargo build -p peerstream-host" : !hasChromium() && "no Chromium here";
const options = { skip: missing || false, timeout: 120_000 };
const PASSWORD = "correct horse battery";
const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
let demo;
let browser;

before(async () => {
  if (missing) return;
  demo = await startDemo(`[source]\nbudget_mbps = 4\n[dashboard]\npassword = "${PASSWORD}"\n`);
  browser = await launch();
});

afterEach(async () => {
  await browser?.context.clearCookies();
  for (const page of browser?.context.pages() ?? []) await page.close({ runBeforeUnload: false });
});

after(async () => {
  await browser?.close();
  await demo?.close();
});

async function logIn(page, secret = PASSWORD) {
  await page.getByLabel(/Password/).fill(secret);
  await page.getByRole("button", { name: "Log in" }).click();
}

async function openBoard(url = `${demo.url}dashboard`) {
  const [page] = await openPages(browser.context, url, 1);
  await page.locator("form.login, .board").locator("visible=true").first().waitFor();
  if (await page.locator("form.login").isVisible()) await logIn(page);
  await page.locator(".totals dd").first().waitFor();
  return page;
}

async function untilNodes(page, count) {
  const shown = (wanted) => document.querySelector("canvas")?.getAttribute("aria-label").includes(`: ${wanted} nodes`);
  await page.waitForFunction(shown, count);
}

/** What axe finds wrong, as text. */
async function faults(page) {
  await page.evaluate(AXE);
  const { violations } = await page.evaluate(() => globalThis.axe.run());
  return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ target }) => target.join(" ")).join(", ")}`);
}

test("nobody sees the dashboard without the password", options, async () => {
  const [page] = await openPages(browser.context, `${demo.url}dashboard`, 1);
  await page.locator("form.login").waitFor();
  assert.deepEqual(await faults(page), []);
  await logIn(page, "wrong password");
  await page.getByText("That is not the password").waitFor();
  assert.equal(await page.locator(".board").isVisible(), false);
  const outside = async (path) => (await fetch(`${demo.url}${path}`, { headers: { "x-forwarded-for": "192.0.2.1" } })).status;
  for (const path of ["api/v1/overlay", "api/v1/nodes/source", "api/v1/plugins", "metrics", "api/v1/dashboard/feed"]) {
    assert.equal(await outside(path), 401, path);
  }
  assert.equal(await outside("api/v1/stream"), 200);
});

test("viewers come, are looked at, and crash before the streamer's eyes", options, async () => {
  const board = await openBoard();
  const pages = await openPages(browser.context, demo.url, 4, { apart_ms: 200 });
  await untilLive(pages, { timeout_ms: 60_000 });
  await board.bringToFront();
  await untilNodes(board, 5);
  const { node } = await status(pages[1]);
  await board.locator("details.all summary").click();
  await board.getByRole("button", { name: node, exact: true }).click();
  await board.locator(".node h2", { hasText: node }).waitFor();
  await board.getByText("nothing against it").waitFor();
  await board.getByRole("button", { name: "Its story" }).click();
  await board.locator(".story li", { hasText: "joined" }).waitFor();
  assert.deepEqual(await faults(board), []);
  await crash(pages[1]);
  await board.locator(".moments li.trouble", { hasText: node }).first().waitFor({ timeout: 30_000 });
  await untilNodes(board, 4);
  assert.match(await board.locator(".room-budget").innerText(), /budget of 4 Mbit\/s/);
  // Before the login the page is told that it needs one.
  assert.deepEqual(board.errors.filter((text) => !/401/.test(text)), []);
});

test("a login outlives a reload, and ends", options, async () => {
  const board = await openBoard();
  await board.reload();
  await board.locator(".totals dd").first().waitFor();
  await board.getByRole("button", { name: "Log out" }).click();
  await board.locator("form.login").waitFor();
  await board.reload();
  await board.locator("form.login").waitFor();
});

test("the read-only link shows everything and commands nothing", options, async () => {
  const board = await openBoard();
  const link = await board.evaluate(async () => (await (await fetch("./api/v1/dashboard/session")).json()).link);
  await board.getByRole("button", { name: "Log out" }).click();
  await board.locator("form.login").waitFor();
  const [guest] = await openPages(browser.context, `${demo.url}dashboard#token=${link}`, 1);
  await guest.locator(".totals dd").first().waitFor();
  assert.equal(new URL(guest.url()).hash, "", "the token is gone from the address");
  for (const name of ["End broadcast", "Restart", "Copy a read-only link"]) {
    assert.equal(await guest.getByRole("button", { name }).isVisible(), false, name);
  }
  const told = await guest.evaluate(async () => {
    const own = { "x-peerstream-dashboard": "1" };
    const command = (name, headers) => fetch(`./api/v1/dashboard/${name}`, { method: "POST", headers });
    const { link } = await (await fetch("./api/v1/dashboard/session")).json();
    return { link, statuses: [(await command("end", own)).status, (await command("restart", own)).status] };
  });
  assert.deepEqual(told, { link: null, statuses: [403, 403] });
});

test("without a password the printed link lets the streamer in", options, async (t) => {
  const other = await startDemo();
  t.after(other.close);
  const [page] = await openPages(browser.context, other.dashboard(), 1);
  await page.locator(".totals dd").first().waitFor();
  assert.ok(await page.getByRole("button", { name: "End broadcast" }).isVisible());
});

test("two thousand nodes are drawn and the page stays usable", options, async () => {
  const many = await manyNodes(2_000);
  try {
    const [page] = await openPages(browser.context, `${many.url}dashboard`, 1);
    await untilNodes(page, 2_000);
    await page.evaluate(() => {
      window.slow = [];
      const note = (list) => window.slow.push(...list.getEntries().map(({ duration }) => duration));
      new PerformanceObserver(note).observe({ type: "longtask" });
    });
    await page.waitForTimeout(4_000);
    const slow = await page.evaluate(() => window.slow);
    console.log(`2,000 nodes, 4 s: ${slow.length} tasks above 50 ms, the longest ${Math.round(Math.max(0, ...slow))} ms`);
    await page.locator("canvas").focus();
    for (const key of ["ArrowUp", "ArrowDown", "ArrowRight", "ArrowDown"]) await page.keyboard.press(key);
    await page.locator(".node h2", { hasText: "n4" }).waitFor();
    await page.keyboard.press("Escape");
    await page.getByText("No node is chosen").waitFor();
    assert.deepEqual(page.errors, []);
  } finally {
    many.close();
  }
});

test("the streamer ends the broadcast and restarts it, and viewers are there again", options, async (t) => {
  const own = await startDemo(`[dashboard]\npassword = "${PASSWORD}"\n`);
  t.after(own.close);
  const [viewer] = await openPages(browser.context, own.url, 1);
  await untilLive([viewer]);
  const { epoch } = await status(viewer);
  const board = await openBoard(`${own.url}dashboard`);
  const command = async (name, yes) => {
    await board.getByRole("button", { name, exact: true }).click();
    await board.locator("dialog").getByRole("button", { name: yes }).click();
  };
  await board.bringToFront();
  await command("End broadcast", "End broadcast");
  await until(viewer, "told of the end", ({ state }) => state === "ended");
  const state = async () => (await (await fetch(`${own.url}api/v1/stream`)).json()).state;
  assert.equal(await state(), "ended");
  await own.configure("[nonsense]\n");
  await command("Restart", "Restart");
  await board.locator(".state.lost", { hasText: "the config has errors" }).waitFor();
  await own.configure(`[serve]\ntitle = "Second night"\n[dashboard]\npassword = "${PASSWORD}"\n`);
  await command("Restart", "Restart");
  await until(viewer, "in the new broadcast", (now) => now.state === "live" && now.epoch > epoch, { timeout_ms: 40_000 });
  await board.getByRole("heading", { name: "Second night" }).waitFor({ timeout: 30_000 });
  await untilNodes(board, 2);
});

test("on a phone everything is in one column and nothing is cut off", options, async () => {
  const board = await openBoard();
  await board.setViewportSize({ width: 390, height: 800 });
  const wide = await board.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  assert.ok(wide <= 0, `${wide} pixels too wide`);
  for (const colorScheme of ["light", "dark"]) {
    await board.emulateMedia({ colorScheme });
    assert.deepEqual(await faults(board), [], colorScheme);
  }
});
