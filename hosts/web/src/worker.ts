// The script of a Worker: a station, told by the page.

import { connect, type Port } from "./calls.ts";
import { ownClock } from "./clock.ts";
import { Core } from "./core.ts";
import { Station, type StationCalls } from "./station.ts";
import type { WorkerPageCalls } from "./thread.ts";

/** A station that ends its Worker with itself. */
class WorkerStation extends Station {
  override close(): void {
    super.close();
    self.close();
  }
}

const port = self as unknown as Port;
/** Who hears the page where too little can be done. */
const nobody = {} as StationCalls;
const { there: page } = connect<WorkerPageCalls, StationCalls>(port, () => station ?? nobody, ["compile"]);
let compiled: WebAssembly.Module | null = null;
/** An instance that was made before anybody asked for one. */
let first: Promise<Core | null> | null = null;
/** The page has begun to compile the module long before it is asked. */
const make = async (): Promise<Core> => Core.load((compiled ??= await page.compile()));
const load = async (): Promise<Core> => {
  const early = await first;
  first = null;
  return early ?? make();
};
const station: WorkerStation | null = isAble() ? new WorkerStation(page, { clock: ownClock, load }) : null;

/** Whether media and channels can be had away from the page. */
function isAble(): boolean {
  const { canConstructInDedicatedWorker } = (self.MediaSource ?? {}) as { canConstructInDedicatedWorker?: boolean };
  return canConstructInDedicatedWorker === true && "RTCDataChannel" in self;
}

if (station) {
  page.ready();
  first = make().catch(() => null);
} else {
  page.unable();
}
