// The node's module: loads it, writes inputs into its memory, reads records out of it.

import { Cursor, Memory } from "./memory.ts";
import { carryOut, type Bytes, type Orders, RECORD_BYTES } from "./records.ts";

/** The interface this driver speaks; the module must speak the same. */
export const ABI_VERSION = 3;
/** Inputs larger than this are not handed to the module, in bytes. */
export const INPUT_BYTES_MAX = 64 * 1024;
/** The size of a node's config, in bytes; the layout is in `wasm/src/config.rs`. */
const CONFIG_BYTES = 72;

interface Exports {
  memory: WebAssembly.Memory;
  ps_abi(): number;
  ps_start(): void;
  ps_buffer(len: number): number;
  ps_records(): number;
  ps_text(): number;
  ps_text_len(): number;
  ps_node(len: number, now: number): number;
  ps_first(node: number): number;
  ps_drop(node: number): void;
  ps_control_up(node: number, now: number): number;
  ps_control_down(node: number, now: number): number;
  ps_control(node: number, now: number, len: number): number;
  ps_link_up(node: number, now: number, link: number, credit: number): number;
  ps_link_down(node: number, now: number, link: number): number;
  ps_link_failed(node: number, now: number, link: number): number;
  ps_link_signal(node: number, now: number, link: number, len: number): number;
  ps_frame(node: number, now: number, link: number, lane: number, len: number): number;
  ps_writable(node: number, now: number, link: number, credit: number): number;
  ps_player(
    node: number,
    now: number,
    position: number,
    start: number,
    end: number,
    next: number,
    nextEnd: number,
    latest: number,
    ahead: number,
    flags: number,
  ): number;
  ps_playout(node: number, now: number, flags: number): number;
  ps_fetched(node: number, now: number, len: number): number;
  ps_fetch_ended(node: number, now: number): number;
  ps_return_to_edge(node: number, now: number): number;
  ps_keeping(node: number, now: number, bytes: number, span: number, host: number): number;
  ps_go_back(node: number, now: number, behind: number): number;
  ps_past_fetched(node: number, now: number, len: number): number;
  ps_past_fetch_ended(node: number, now: number, whole: number): number;
  ps_evidence(node: number, from: number, to: number): number;
  ps_woke(node: number, now: number): number;
  ps_relay(node: number, now: number, on: number): number;
  ps_leave(node: number, now: number): number;
  ps_tick(node: number, now: number): number;
  ps_status(node: number): number;
  ps_signal_of_sdp(side: number, len: number): number;
  ps_signal_of_candidate(len: number): number;
  ps_signal_expand(len: number): number;
  ps_panic(): void;
}

/** The functions of the module, for calls that tell a node a fact. */
export type Calls = Omit<Exports, "memory">;

/** What a node is from its start. */
export interface NodeConfig {
  role: "viewer" | "helper";
  capacity: number;
  relay: boolean;
  endpoints: number;
  /** The publisher's key in hexadecimal, when it is known. */
  publisher: string | null;
  /** 32 random bytes. */
  seed: Uint8Array;
}

/** A signal of another node, expanded. */
export type Expanded =
  | { kind: "offer" | "answer"; text: string }
  | { kind: "candidate"; text: string }
  | { kind: "end"; text: string };

/** The module has stopped in the middle of a call and is of no more use. */
export class CoreStopped extends Error {
  override name = "CoreStopped";
}

const EXPANDED = ["", "offer", "answer", "candidate", "end"] as const;
const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** One instance of the module. Several nodes may live in it; when it stops, all of them do. */
export class Core {
  readonly #exports: Exports;
  readonly #memory: Memory;
  readonly #cursor: Cursor;
  #input = 0;
  #room = 0;
  #panic = "";
  #stopped = false;

  /** Makes an instance of a compiled module. */
  static async load(module: WebAssembly.Module): Promise<Core> {
    let core: Core | undefined;
    const panicked = (start: number, len: number): void => core?.panicked(start, len);
    const instance = await WebAssembly.instantiate(module, { peerstream: { panicked } });
    core = new Core(instance.exports as unknown as Exports);
    return core;
  }

  private constructor(exports: Exports) {
    this.#exports = exports;
    this.#memory = new Memory(exports.memory);
    this.#cursor = new Cursor(this.#memory);
    const version = exports.ps_abi();
    if (version !== ABI_VERSION) {
      throw new Error(`peerstream.wasm speaks interface ${version}, peerstream.js ${ABI_VERSION}: reload the page`);
    }
    exports.ps_start();
  }

  /** Whether the module has stopped. */
  get stopped(): boolean {
    return this.#stopped;
  }

  /** Makes a node and returns its handle. */
  create(config: NodeConfig, now: number): number {
    const bytes = encodeConfig(config);
    return this.guard((calls) => expect(calls.ps_node(this.write(bytes), now), "node"));
  }

  /** Forgets a node. */
  drop(node: number): void {
    this.guard((calls) => calls.ps_drop(node));
  }

  /** Calls the module; a stop inside becomes [CoreStopped]. */
  guard<T>(call: (calls: Calls) => T): T {
    if (this.#stopped) throw new CoreStopped(this.#panic || "module has stopped");
    try {
      return call(this.#exports);
    } catch (error) {
      if (!(error instanceof WebAssembly.RuntimeError)) throw error;
      this.#stopped = true;
      throw new CoreStopped(this.#panic || error.message);
    }
  }

  /** Puts bytes into the module's input buffer and returns their length. */
  write(bytes: Uint8Array): number {
    if (bytes.length > this.#room || this.#room === 0) {
      this.#room = Math.max(bytes.length, 16 * 1024);
      this.#input = this.#exports.ps_buffer(this.#room);
      if (this.#input === 0) throw new RangeError(`input of ${bytes.length} bytes`);
    }
    this.#memory.write(this.#input, bytes);
    return bytes.length;
  }

  /** Carries out the records of the last call; a negative count says that the call was refused. */
  carryOut(count: number, orders: Orders): void {
    if (count <= 0) return expectCall(count);
    const base = this.#exports.ps_records();
    for (let index = 0; index < count; index += 1) {
      this.#cursor.at = base + index * RECORD_BYTES;
      carryOut(this.#cursor, orders);
    }
  }

  /** The node's status, as the module writes it. */
  status(node: number): unknown {
    this.guard((calls) => expect(calls.ps_status(node), "status"));
    return JSON.parse(this.text()) as unknown;
  }

  /** An evidence bundle of what is here between two times on the media's timeline, in microseconds; empty when there is nothing. */
  evidence(node: number, from: number, to: number): Bytes {
    this.guard((calls) => expect(calls.ps_evidence(node, from, to), "bundle"));
    return this.result().slice();
  }

  /** Shrinks an SDP into a signal. */
  signalOfSdp(side: "offer" | "answer", sdp: string): Bytes {
    const code = side === "offer" ? 0 : 1;
    this.guard((calls) => expect(calls.ps_signal_of_sdp(code, this.write(encoder.encode(sdp))), "description"));
    return this.result().slice();
  }

  /** Shrinks a candidate line into a signal, or nothing for a candidate that links do not use. */
  signalOfCandidate(line: string): Bytes | null {
    const code = this.guard((calls) => calls.ps_signal_of_candidate(this.write(encoder.encode(line))));
    return code < 0 ? null : this.result().slice();
  }

  /** Expands a signal of another node, or nothing when it is malformed. */
  expandSignal(signal: Uint8Array): Expanded | null {
    const code = this.guard((calls) => calls.ps_signal_expand(this.write(signal)));
    const kind = EXPANDED[code];
    return kind ? ({ kind, text: this.text() } as Expanded) : null;
  }

  private panicked(start: number, len: number): void {
    this.#panic = decoder.decode(this.#memory.slice(start, len));
    console.error(`peerstream: ${this.#panic}`);
  }

  private text(): string {
    return decoder.decode(this.result());
  }

  private result(): Bytes {
    return this.#memory.slice(this.#exports.ps_text(), this.#exports.ps_text_len());
  }
}

function expect(code: number, what: string): number {
  if (code < 0) throw new Error(`module refused a ${what} (${code})`);
  return code;
}

function expectCall(code: number): void {
  if (code < 0) console.warn(`peerstream: module refused a call (${code})`);
}

function encodeConfig(config: NodeConfig): Uint8Array {
  const bytes = new Uint8Array(CONFIG_BYTES);
  bytes[0] = config.role === "viewer" ? 0 : 1;
  bytes[1] = config.capacity;
  bytes[2] = config.relay ? 1 : 0;
  bytes[3] = config.publisher ? 1 : 0;
  new DataView(bytes.buffer).setUint16(4, config.endpoints, true);
  bytes.set(config.seed.subarray(0, 32), 8);
  if (config.publisher) bytes.set(fromHex(config.publisher), 40);
  return bytes;
}

/** Reads 64 hexadecimal digits. */
export function fromHex(text: string): Uint8Array {
  if (!/^[0-9a-f]{64}$/i.test(text)) throw new Error("a publisher's key is 64 hexadecimal digits");
  return Uint8Array.from(text.match(/../g) ?? [], (pair) => parseInt(pair, 16));
}
