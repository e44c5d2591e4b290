// What the dashboard costs a browser: CPU time of the page while so many nodes change every second.
//
//   node tests/measure/dashboard.mjs [NODES] [SECONDS]
import { launch, openPages } from "../browser.mjs";
import { manyNodes } from "../many.mjs";

const [nodes = 2_000, seconds = 20] = process.argv.slice(2).map(Number);
const served = await manyNodes(nodes);
const browser = await launch();
try {
  const [page] = await openPages(browser.context, `${served.url}dashboard`, 1);
  const shown = (wanted) => document.querySelector("canvas")?.getAttribute("aria-label").includes(`: ${wanted} nodes`);
  await page.waitForFunction(shown, nodes);
  const session = await page.context().newCDPSession(page);
  await session.send("Performance.enable", { timeDomain: "threadTicks" });
  const taken = async () => {
    const { metrics } = await session.send("Performance.getMetrics");
    return Object.fromEntries(metrics.map(({ name, value }) => [name, value]));
  };
  const before = await taken();
  await page.waitForTimeout(seconds * 1_000);
  const after = await taken();
  const share = (name) => `${(((after[name] - before[name]) / seconds) * 100).toFixed(1)} %`;
  console.log(`${nodes} nodes: main thread ${share("TaskDuration")} of a core, scripts ${share("ScriptDuration")}`);
} finally {
  await browser.close();
  served.close();
}
