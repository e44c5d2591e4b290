// A real mail server for tests: Debian's aiosmtpd, by the script that the host's own tests use.
import { spawn, spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";

import { said } from "./demo.mjs";

const SCRIPT = fileURLToPath(new URL("../../peerstream/tests/common/mailbox.py", import.meta.url));
const python = ["/usr/bin/python3", "python3"].find((path) => spawnSync(path, [SCRIPT], { stdio: "ignore" }).status === 0);

/** Whether there is a mail server to test with. */
export const hasMailbox = () => python !== undefined;

/** Starts it, on a free port if none is named. `mail(to, subject)` waits for a mail; `mails` are all that came. */
export async function startMailbox(wanted = 0) {
  const child = spawn(python, [SCRIPT, String(wanted)], { stdio: ["ignore", "pipe", "pipe"] });
  process.once("exit", () => child.kill());
  const mails = [];
  const [, port] = await said(child, /^(\d+)\n/);
  let text = "";
  child.stdout.on("data", (part) => {
    const lines = (text + part).split("\n");
    text = lines.pop();
    mails.push(...lines.map((line) => JSON.parse(line)));
  });
  const mail = async (to, subject) => {
    for (let tries = 0; tries < 300; tries += 1) {
      const found = mails.find((one) => one.to.includes(to) && one.subject === subject);
      if (found) return found;
      await new Promise((done) => setTimeout(done, 100));
    }
    throw new Error(`no mail to ${to}: ${JSON.stringify(mails)}`);
  };
  return { port, mail, mails, close: () => child.kill() };
}
