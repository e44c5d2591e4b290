// Firefox ESR through WebDriver BiDi: enough to open a page of the host and read the player's status.
import { existsSync } from "node:fs";
import puppeteer from "puppeteer-core";

const FIREFOX = process.env.PEERSTREAM_FIREFOX ?? "/usr/bin/firefox-esr";

/** Whether there is a Firefox to test with. */
export const hasFirefox = () => existsSync(FIREFOX);

/** Starts a headless Firefox with a fresh profile, and with these settings besides. */
export async function launchFirefox(prefs = {}) {
  const browser = await puppeteer.launch({
    browser: "firefox",
    executablePath: FIREFOX,
    headless: true,
    extraPrefsFirefox: {
      "media.autoplay.default": 0,
      "media.autoplay.blocking_policy": 0,
      // Without a camera's permission Firefox hides its addresses behind mDNS names, which need multicast to resolve.
      "media.peerconnection.ice.obfuscate_host_addresses": false,
      "media.peerconnection.ice.loopback": true,
      ...prefs,
    },
  });
  const status = (page) => page.evaluate(() => document.querySelector("peerstream-player").status());
  return {
    status,
    open: async (url) => {
      const page = await browser.newPage();
      await page.goto(url, { waitUntil: "domcontentloaded" });
      return page;
    },
    untilLive: async (page, timeout_ms = 30_000) => {
      const deadline = Date.now() + timeout_ms;
      let last;
      while (Date.now() < deadline) {
        last = await status(page).catch((error) => ({ error: String(error) }));
        if (last.state === "live") return last;
        await new Promise((done) => setTimeout(done, 200));
      }
      throw new Error(`Firefox is not live within ${timeout_ms} ms: ${JSON.stringify(last)}`);
    },
    close: () => browser.close(),
  };
}
