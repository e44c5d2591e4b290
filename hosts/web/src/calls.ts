// Methods of an object on another thread, called by messages.

/** Questions that may wait for their answers at a time; more fail at once. */
const QUESTIONS_MAX = 64;

/** One end of a channel between two threads: a Worker, or what a Worker sees of itself. */
export interface Port {
  postMessage(message: unknown, transfer: Transferable[]): void;
  onmessage: ((event: MessageEvent) => void) | null;
}

/** What can be called from another thread: methods whose arguments can be copied or handed over, and which give nothing or a promise. */
export type Calls<T> = { [Name in keyof T]: T[Name] extends (...args: never[]) => void | Promise<unknown> ? T[Name] : never };

/** The names of methods that give a promise. */
type Questions<T> = { [Name in keyof T]: T[Name] extends (...args: never[]) => Promise<unknown> ? Name : never }[keyof T];

type Message =
  | [what: "call", question: number, name: string, ...args: unknown[]]
  | [what: "answer" | "failure", question: number, value: unknown];

interface Waiting {
  resolve(value: unknown): void;
  reject(reason: Error): void;
}

/** One end of a connection between two threads. */
export interface Connection<There> {
  /** The other side: its methods run there, in the order of the calls. */
  there: There;
  /** Nothing of what comes is heard any more; questions that wait for their answers fail. */
  close(): void;
}

/** Joins what `here` gives to the other side of a port, each to be called by the other. `questions` are the methods there that give a promise. */
export function connect<There extends Calls<There>, Here extends Calls<Here>>(
  port: Port,
  here: () => Here,
  questions: readonly (Questions<There> & string)[] = [],
): Connection<There> {
  const waiting = new Map<number, Waiting>();
  let last = 0;
  const post = (...message: Message): void => port.postMessage(message, message.filter(isHandedOver));
  const ask = (name: string, args: unknown[]): Promise<unknown> =>
    new Promise((resolve, reject) => {
      if (waiting.size >= QUESTIONS_MAX) return reject(new Error("too many questions at a time"));
      waiting.set((last += 1), { resolve, reject });
      post("call", last, name, ...args);
    });
  const run = (question: number, name: string, args: unknown[]): void => {
    const given = (here() as Record<string, (...args: unknown[]) => unknown>)[name]?.(...args);
    if (!(given instanceof Promise)) return;
    given.then(
      (value) => post("answer", question, value),
      (error) => post("failure", question, String(error)),
    );
  };
  port.onmessage = ({ data: [what, question, ...rest] }: MessageEvent<Message>) => {
    if (what === "call") return run(question, rest[0] as string, rest.slice(1));
    const asker = waiting.get(question);
    waiting.delete(question);
    if (what === "answer") asker?.resolve(rest[0]);
    else asker?.reject(new Error(String(rest[0])));
  };
  const there = new Proxy({} as There, {
    get: (_, name) => {
      const method = String(name);
      return (questions as readonly string[]).includes(method)
        ? (...args: unknown[]) => ask(method, args)
        : (...args: unknown[]) => post("call", 0, method, ...args);
    },
  });
  const close = (): void => {
    port.onmessage = null;
    for (const { reject } of waiting.values()) reject(new Error("the other side has gone"));
    waiting.clear();
  };
  return { there, close };
}

/** What exists once, and is in one thread at a time. */
const HANDED_OVER = ["RTCDataChannel", "MediaSourceHandle"];

function isHandedOver(value: unknown): value is Transferable {
  return HANDED_OVER.some((name) => {
    const kind = (globalThis as unknown as Record<string, unknown>)[name];
    return typeof kind === "function" && value instanceof kind;
  });
}
