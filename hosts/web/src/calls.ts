// Methods of an object on another thread, called by messages. No answers come back: what is to be known is told by another call.

/** One end of a channel between two threads: a Worker, or what a Worker sees of itself. */
export interface Port {
  postMessage(message: unknown, transfer: Transferable[]): void;
  onmessage: ((event: MessageEvent) => void) | null;
}

/** What can be called from another thread: methods without a result, whose arguments can be copied or handed over. */
export type Calls<T> = { [Name in keyof T]: T[Name] extends (...args: never[]) => void ? T[Name] : never };

type Message = [name: string, ...args: unknown[]];

/** An object whose methods run on the other side of a port. */
export function remote<T extends Calls<T>>(port: Port): T {
  const call =
    (name: string) =>
    (...args: unknown[]): void =>
      port.postMessage([name, ...args] satisfies Message, args.filter(isHandedOver));
  return new Proxy({} as T, { get: (_, name) => call(String(name)) });
}

/** Calls what the other side of a port asks for. */
export function answer<T extends Calls<T>>(port: Port, target: T): void {
  port.onmessage = ({ data: [name, ...args] }: MessageEvent<Message>) => {
    (target as Record<string, (...args: unknown[]) => void>)[name]?.(...args);
  };
}

/** What exists once, and is in one thread at a time. */
const HANDED_OVER = ["RTCDataChannel", "MediaSourceHandle"];

function isHandedOver(value: unknown): value is Transferable {
  return HANDED_OVER.some((name) => {
    const kind = (globalThis as unknown as Record<string, unknown>)[name];
    return typeof kind === "function" && value instanceof kind;
  });
}
