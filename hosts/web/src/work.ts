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
  const encoder = new TextEncoder();
  for (let number = 0; !signal.aborted; number += SLICE) {
    for (let tried = number; tried < number + SLICE; tried += 1) {
      const answer = `${puzzle}:${tried}`;
      if (zeros(sha256(encoder.encode(answer))) >= bits) return answer;
    }
    await turn();
  }
  return null;
}

/** The zero bits with which the hash of a text begins. */
export function zeroBits(text: string): number {
  return zeros(sha256(new TextEncoder().encode(text)));
}

function zeros(hash: Int32Array): number {
  let count = 0;
  for (const word of hash) {
    if (word !== 0) return count + Math.clz32(word);
    count += 32;
  }
  return count;
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

const words = new Int32Array(64);

/** SHA-256 as eight words: the browser's own is asynchronous, and absent from pages without https. */
export function sha256(bytes: Uint8Array): Int32Array {
  const padded = new Uint8Array(((bytes.length + 9 + 63) >> 6) * 64);
  padded.set(bytes);
  padded[bytes.length] = 0x80;
  for (let i = 1, bits = bytes.length * 8; bits > 0; i += 1, bits = Math.floor(bits / 256)) padded[padded.length - i] = bits;
  const state = Int32Array.from(START);
  for (let at = 0; at < padded.length; at += 64) compress(state, padded, at);
  return state;
}

/** Takes a block in. No arrays are made in here: this is all that a page does while it works. */
function compress(state: Int32Array, block: Uint8Array, at: number): void {
  const w = words;
  for (let i = 0, from = at; i < 16; i += 1, from += 4) {
    w[i] = (block[from]! << 24) | (block[from + 1]! << 16) | (block[from + 2]! << 8) | block[from + 3]!;
  }
  for (let i = 16; i < 64; i += 1) {
    const early = w[i - 15]!;
    const late = w[i - 2]!;
    const low = rotate(early, 7) ^ rotate(early, 18) ^ (early >>> 3);
    const high = rotate(late, 17) ^ rotate(late, 19) ^ (late >>> 10);
    w[i] = (w[i - 16]! + low + w[i - 7]! + high) | 0;
  }
  let a = state[0]!;
  let b = state[1]!;
  let c = state[2]!;
  let d = state[3]!;
  let e = state[4]!;
  let f = state[5]!;
  let g = state[6]!;
  let h = state[7]!;
  for (let i = 0; i < 64; i += 1) {
    const one = (h + (rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25)) + ((e & f) ^ (~e & g)) + K[i]! + w[i]!) | 0;
    const two = ((rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22)) + ((a & b) ^ (a & c) ^ (b & c))) | 0;
    h = g;
    g = f;
    f = e;
    e = (d + one) | 0;
    d = c;
    c = b;
    b = a;
    a = (one + two) | 0;
  }
  state[0] = state[0]! + a;
  state[1] = state[1]! + b;
  state[2] = state[2]! + c;
  state[3] = state[3]! + d;
  state[4] = state[4]! + e;
  state[5] = state[5]! + f;
  state[6] = state[6]! + g;
  state[7] = state[7]! + h;
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
