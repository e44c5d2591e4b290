// The puzzle that some hosts set before they let a page in: a number whose hash begins with so many zero bits.

/** Numbers tried before the page gets its turn. */
const SLICE = 2_000;
/** A harder puzzle is not tried: it would keep a page busy for minutes. */
export const BITS_MAX = 26;

const K = constants();
const START = [0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19];

/** Finds the answer, in slices so that the page stays alive; nothing when it is too hard or nobody wants it any more. */
export async function solve(puzzle: string, bits: number, signal: AbortSignal): Promise<string | null> {
  if (bits > BITS_MAX) return null;
  for (let number = 0; !signal.aborted; number += SLICE) {
    for (let tried = number; tried < number + SLICE; tried += 1) {
      const answer = `${puzzle}:${tried}`;
      if (zeroBits(answer) >= bits) return answer;
    }
    await turn();
  }
  return null;
}

/** The zero bits with which the hash of a text begins. */
export function zeroBits(text: string): number {
  let zeros = 0;
  for (const word of sha256(new TextEncoder().encode(text))) {
    if (word !== 0) return zeros + Math.clz32(word);
    zeros += 32;
  }
  return zeros;
}

/** Gives others their turn; a message comes sooner than a timer. */
function turn(): Promise<void> {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(null);
  });
}

/** SHA-256 as eight words: the browser's own is asynchronous, and absent from pages without https. */
export function sha256(bytes: Uint8Array): Int32Array {
  const blocks = (bytes.length + 9 + 63) >> 6;
  const padded = new Uint8Array(blocks * 64);
  padded.set(bytes);
  padded[bytes.length] = 0x80;
  const view = new DataView(padded.buffer);
  view.setUint32(padded.length - 4, bytes.length * 8);
  const state = Int32Array.from(START);
  const words = new Int32Array(64);
  for (let at = 0; at < padded.length; at += 64) compress(state, words, view, at);
  return state;
}

function compress(state: Int32Array, w: Int32Array, view: DataView, at: number): void {
  for (let i = 0; i < 16; i += 1) w[i] = view.getInt32(at + 4 * i);
  for (let i = 16; i < 64; i += 1) {
    const [a, b] = [w[i - 15]!, w[i - 2]!];
    const low = rotate(a, 7) ^ rotate(a, 18) ^ (a >>> 3);
    const high = rotate(b, 17) ^ rotate(b, 19) ^ (b >>> 10);
    w[i] = (w[i - 16]! + low + w[i - 7]! + high) | 0;
  }
  let [a, b, c, d, e, f, g, h] = state as unknown as [number, number, number, number, number, number, number, number];
  for (let i = 0; i < 64; i += 1) {
    const one = (h + (rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25)) + ((e & f) ^ (~e & g)) + K[i]! + w[i]!) | 0;
    const two = ((rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22)) + ((a & b) ^ (a & c) ^ (b & c))) | 0;
    [h, g, f, e, d, c, b, a] = [g, f, e, (d + one) | 0, c, b, a, (one + two) | 0];
  }
  [a, b, c, d, e, f, g, h].forEach((word, i) => (state[i] = (state[i]! + word) | 0));
}

function rotate(word: number, by: number): number {
  return (word >>> by) | (word << (32 - by));
}

/** The first bits of the fractions of the cube roots of the first 64 primes. */
function constants(): Int32Array {
  const primes: number[] = [];
  for (let n = 2; primes.length < 64; n += 1) if (primes.every((prime) => n % prime !== 0)) primes.push(n);
  return Int32Array.from(primes, (prime) => Number(fraction(BigInt(prime))) | 0);
}

/** 32 bits of the fraction of a cube root: the whole root of the number times 2^96, by halving. */
function fraction(number: bigint): bigint {
  const target = number << 96n;
  let [low, high] = [0n, 1n << 36n];
  while (high - low > 1n) {
    const middle = (low + high) >> 1n;
    if (middle * middle * middle <= target) low = middle;
    else high = middle;
  }
  return low & 0xffffffffn;
}
