// How many bytes a link takes, told to the node seldom enough and never too late.

/** What a link takes at once, in bytes, less what it still holds. */
export const CREDIT_BYTES = 256 * 1024;
/** A channel says so when it holds no more than this, in bytes. */
export const LOW_BYTES = 64 * 1024;

/** The part of a data channel that credit depends on. */
export interface Buffered {
  readonly bufferedAmount: number;
}

/** The credit of one link, over both of its channels. */
export class Credit {
  readonly #channels: readonly Buffered[];
  #node = CREDIT_BYTES;

  constructor(channels: readonly Buffered[]) {
    this.#channels = channels;
  }

  /** The bytes the link takes now. */
  now(): number {
    const held = this.#channels.reduce((sum, channel) => sum + channel.bufferedAmount, 0);
    return Math.max(0, CREDIT_BYTES - held);
  }

  /** The node has sent this many bytes and taken them off. */
  spent(bytes: number): void {
    this.#node -= bytes;
  }

  /** The credit to tell the node, which then knows it. */
  tell(): number {
    this.#node = this.now();
    return this.#node;
  }

  /**
   * Whether the node has to be told at once: it believes in less than half, and no channel is so full that it is going to say
   * when it has room again.
   */
  isDue(): boolean {
    return this.#node < CREDIT_BYTES / 2 && this.#channels.every((channel) => channel.bufferedAmount <= LOW_BYTES);
  }
}
