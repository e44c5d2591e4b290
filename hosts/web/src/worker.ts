// The script of a Worker: a station, told by the page.

import { answer, type Port, remote } from "./calls.ts";
import { ownClock } from "./clock.ts";
import { Core } from "./core.ts";
import { Station } from "./station.ts";
import type { WorkerCalls, WorkerPageCalls } from "./thread.ts";

const port = self as unknown as Port;
const page = remote<WorkerPageCalls>(port);

/** A station that gets its module from the page, which has begun to compile it long before. */
class WorkerStation extends Station implements WorkerCalls {
  #compiled: Promise<WebAssembly.Module> | null = null;
  #take: (module: WebAssembly.Module) => void = () => undefined;
  #fail: (reason: Error) => void = () => undefined;

  constructor() {
    super(page, { clock: ownClock, load: () => this.#load() });
  }

  module(module: WebAssembly.Module): void {
    this.#take(module);
  }

  noModule(reason: string): void {
    this.#compiled = null;
    this.#fail(new Error(reason));
  }

  override close(): void {
    super.close();
    self.close();
  }

  async #load(): Promise<Core> {
    this.#compiled ??= new Promise((take, fail) => {
      this.#take = take;
      this.#fail = fail;
      page.wantModule();
    });
    return Core.load(await this.#compiled);
  }
}

/** Whether media and channels can be had away from the page. */
function isAble(): boolean {
  const { canConstructInDedicatedWorker } = (self.MediaSource ?? {}) as { canConstructInDedicatedWorker?: boolean };
  return canConstructInDedicatedWorker === true && "RTCDataChannel" in self;
}

if (isAble()) {
  answer<WorkerCalls>(port, new WorkerStation());
  page.ready();
} else page.unable();
