// The module's linear memory and the records in it.

import type { Bytes, Fields } from "./records.ts";

/** Views of a memory that may grow: growing replaces the buffer under them. */
export class Memory {
  readonly #memory: WebAssembly.Memory;
  #view = new DataView(new ArrayBuffer(0));
  #bytes: Bytes = new Uint8Array(0);

  constructor(memory: WebAssembly.Memory) {
    this.#memory = memory;
  }

  /** A view for numbers. */
  get view(): DataView {
    this.#refresh();
    return this.#view;
  }

  /** A view of `len` bytes from `start` on. */
  slice(start: number, len: number): Bytes {
    this.#refresh();
    return this.#bytes.subarray(start, start + len);
  }

  /** Copies bytes to `start`. */
  write(start: number, bytes: Uint8Array): void {
    this.#refresh();
    this.#bytes.set(bytes, start);
  }

  #refresh(): void {
    const buffer = this.#memory.buffer as ArrayBuffer;
    if (this.#view.buffer === buffer) return;
    this.#view = new DataView(buffer);
    this.#bytes = new Uint8Array(buffer);
  }
}

/** One record after the other, read in place; the same cursor serves all of them. */
export class Cursor implements Fields {
  readonly #memory: Memory;
  /** Where the present record begins. */
  at = 0;

  constructor(memory: Memory) {
    this.#memory = memory;
  }

  get kind(): number {
    return this.#memory.view.getUint32(this.at, true);
  }

  get a(): number {
    return this.#memory.view.getUint32(this.at + 4, true);
  }

  get b(): number {
    return this.#memory.view.getUint32(this.at + 8, true);
  }

  get value(): number {
    return this.#memory.view.getFloat64(this.at + 24, true);
  }

  bytes(): Bytes {
    const view = this.#memory.view;
    return this.#memory.slice(view.getUint32(this.at + 12, true), view.getUint32(this.at + 16, true));
  }
}
