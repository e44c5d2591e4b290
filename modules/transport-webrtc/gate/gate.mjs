// Measures one link to, from and between Chromium over a forwarder with delay and loss.
//
//   node gate.mjs            the whole table, about five minutes
//   node gate.mjs --check    only the cells with a target, twice each; exit code 1 when one is missed
//   node gate.mjs --only c-n:40:0:16384 [--times 3]
//
// Build first: cargo build --release -p peerstream-transport-webrtc --examples
// BINARIES may name the folder of the built examples; SECONDS the length of a run.

import { spawn } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';

const BINARIES = process.env.BINARIES ?? fileURLToPath(new URL('../../../target/release/examples/', import.meta.url));
const SECONDS = Number(process.env.SECONDS ?? 5);
const FLAGS = [
  '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync',
];
const PATHS = { 'n-c': 'native -> Chromium', 'c-n': 'Chromium -> native', 'c-c': 'Chromium -> Chromium' };
// Mbit/s that a native end must reach without loss, by round trip in ms.
const TARGETS = { 40: 20, 150: 8 };

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** A child that speaks JSON lines. */
class Child {
  constructor(name, args) {
    this.process = spawn(`${BINARIES}/${name}`, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    this.exited = new Promise((resolve) => this.process.on('exit', resolve));
    this.lines = createInterface({ input: this.process.stdout })[Symbol.asyncIterator]();
  }

  async line() {
    const { value, done } = await this.lines.next();
    if (done) throw new Error('the program ended early');
    return JSON.parse(value);
  }

  say(value) {
    this.process.stdin.write(`${JSON.stringify(value)}\n`);
  }

  /** Closes its input, which ends the forwarder; it then says what it counted. */
  async finish() {
    this.process.stdin.end();
    const counted = await this.line();
    await this.exited;
    return counted;
  }
}

/** Runs in the page: one end of a link. */
function pageEnd() {
  const pc = new RTCPeerConnection();
  const control = pc.createDataChannel('control', { negotiated: true, id: 0 });
  const pieces = pc.createDataChannel('pieces', { negotiated: true, id: 1, ordered: false });
  pieces.binaryType = 'arraybuffer';
  const open = Promise.all([control, pieces].map((channel) => new Promise((resolve) => { channel.onopen = resolve; })));

  const receiver = { bytes: 0, first: 0, span: 0 };
  pieces.onmessage = ({ data }) => {
    const now = performance.now();
    receiver.first ||= now;
    if (now - receiver.first < receiver.span) receiver.bytes += data.byteLength;
  };
  return {
    async describe(remote) {
      if (remote) await pc.setRemoteDescription(remote);
      await pc.setLocalDescription();
      return { type: pc.localDescription.type, sdp: pc.localDescription.sdp };
    },
    async accept(remote) {
      await pc.setRemoteDescription(remote);
    },
    async opened() {
      await open;
    },
    async receive(ms) {
      receiver.span = ms;
      const asked = performance.now();
      while (!receiver.first && performance.now() - asked < ms) await new Promise((resolve) => { setTimeout(resolve, 5); });
      await new Promise((resolve) => { setTimeout(resolve, ms + 50); });
      return receiver.bytes;
    },
    async send(ms, messageBytes) {
      const message = new Uint8Array(messageBytes).fill(0x5a);
      const end = performance.now() + ms;
      pieces.bufferedAmountLowThreshold = 64 * 1024;
      while (performance.now() < end) {
        while (pieces.bufferedAmount < 256 * 1024) pieces.send(message);
        await new Promise((resolve) => {
          pieces.onbufferedamountlow = resolve;
          setTimeout(resolve, 100);
        });
      }
    },
    close() {
      pc.close();
    },
  };
}

/** Replaces all candidates of an SDP by the forwarder's port. */
function ledTo(port, sdp) {
  const kept = sdp.split('\r\n').filter((line) => line && !line.startsWith('a=candidate') && line !== 'a=end-of-candidates');
  return `${kept.join('\r\n')}\r\na=candidate:1 1 udp 2130706431 127.0.0.1 ${port} typ host\r\n`;
}

/** CPU seconds of a process and all below it. */
function treeCpuSeconds(root) {
  const children = new Map();
  const ticks = new Map();
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name)).map(Number)) {
    try {
      const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').pop().split(' ');
      children.set(Number(fields[1]), [...(children.get(Number(fields[1])) ?? []), pid]);
      ticks.set(pid, Number(fields[11]) + Number(fields[12]));
    } catch { /* it ended meanwhile */ }
  }
  const sum = (pid) => (ticks.get(pid) ?? 0) + (children.get(pid) ?? []).map(sum).reduce((a, b) => a + b, 0);
  return sum(root) / 100;
}

/** Datagrams the kernel dropped because a socket's buffer was full, on the whole machine. */
function kernelDrops() {
  const [names, values] = readFileSync('/proc/net/snmp', 'utf8').split('\n').filter((line) => line.startsWith('Udp:'));
  return Number(values.split(' ')[names.split(' ').indexOf('RcvbufErrors')]);
}

async function newEnd(browser) {
  const page = await browser.newPage();
  // Pages in the background are throttled; each end has its own window.
  await page.goto('about:blank');
  await page.evaluate(`window.end = (${pageEnd})()`);
  return page;
}

async function betweenPages(browser, ports, cell) {
  const [a, b] = [await newEnd(browser), await newEnd(browser)];
  const started = Date.now();
  const offer = await a.evaluate(() => window.end.describe());
  offer.sdp = ledTo(ports.b, offer.sdp);
  const answer = await b.evaluate((remote) => window.end.describe(remote), offer);
  answer.sdp = ledTo(ports.a, answer.sdp);
  await a.evaluate((remote) => window.end.accept(remote), answer);
  await Promise.all([a, b].map((page) => page.evaluate(() => window.end.opened())));
  const up = Date.now() - started;
  const cpu = treeCpuSeconds(browser.pid);
  const receiving = b.evaluate((ms) => window.end.receive(ms), SECONDS * 1000);
  const sending = a.evaluate(([ms, bytes]) => window.end.send(ms, bytes), [SECONDS * 1000 + 500, cell.bytes]);
  const bytes = await receiving;
  const result = { bytes, up, chromiumCpu: treeCpuSeconds(browser.pid) - cpu };
  await sending;
  for (const page of [a, b]) await page.evaluate(() => window.end.close());
  await Promise.all([a.close(), b.close()]);
  return result;
}

async function withNative(browser, ports, cell) {
  const nativeSends = cell.path === 'n-c';
  // Native offers when it sends and answers when it receives, so that both roles meet a browser.
  const native = new Child('gate', [
    nativeSends ? 'offer' : 'answer', nativeSends ? 'send' : 'receive', ports.b, ports.a, cell.bytes,
    nativeSends ? SECONDS + 0.5 : SECONDS,
  ].map(String));
  const page = await newEnd(browser);
  if (nativeSends) {
    const { sdp } = await native.line();
    const answer = await page.evaluate((remote) => window.end.describe(remote), { type: 'offer', sdp });
    native.say({ sdp: answer.sdp });
  } else {
    const offer = await page.evaluate(() => window.end.describe());
    native.say({ sdp: offer.sdp });
    const { sdp } = await native.line();
    await page.evaluate((remote) => window.end.accept(remote), { type: 'answer', sdp });
  }
  const receiving = nativeSends ? page.evaluate((ms) => window.end.receive(ms), SECONDS * 1000) : undefined;
  const { up } = await native.line();
  await page.evaluate(() => window.end.opened());
  const cpu = treeCpuSeconds(browser.pid);
  const sending = nativeSends ? undefined
    : page.evaluate(([ms, bytes]) => window.end.send(ms, bytes), [SECONDS * 1000 + 500, cell.bytes]);
  const { result } = await native.line();
  const bytes = nativeSends ? await receiving : result.bytes;
  const chromiumCpu = treeCpuSeconds(browser.pid) - cpu;
  await sending;
  const closed = await page.evaluate(() => { window.end.close(); return performance.timeOrigin + performance.now(); });
  const down = nativeSends ? undefined : (await native.line()).down_ms - closed;
  await native.exited;
  await page.close();
  return { bytes, up, down, chromiumCpu, nativeCpu: result.cpu_seconds, pacerDropped: result.pacer_dropped };
}

async function measure(browser, cell, seed) {
  const impair = new Child('udp-impair', [
    '--delay-ms', String(cell.rtt / 2), '--loss', String(cell.loss / 100), '--seed', String(seed),
  ]);
  const ports = await impair.line();
  const drops = kernelDrops();
  const run = cell.path === 'c-c' ? betweenPages : withNative;
  const result = await run(browser, ports, cell);
  const forwarder = await impair.finish();
  const gbit = result.bytes * 8 / 1e9;
  return {
    mbit: result.bytes * 8 / 1e6 / SECONDS,
    up: result.up,
    down: result.down,
    nativeCpuPerGbit: result.nativeCpu === undefined ? undefined : result.nativeCpu / gbit,
    chromiumCpuPerGbit: result.chromiumCpu / gbit,
    kernelDrops: kernelDrops() - drops,
    pacerDropped: result.pacerDropped ?? 0,
    lost: forwarder.lost,
    queueDropped: forwarder.queue_dropped,
    load: loadavg()[0],
  };
}

function cells() {
  const all = [];
  for (const path of Object.keys(PATHS)) {
    for (const rtt of [40, 150]) {
      for (const loss of [0, 0.1, 1]) {
        for (const bytes of [4096, 16384]) {
          const target = path !== 'c-c' && loss === 0 ? TARGETS[rtt] : undefined;
          all.push({ path, rtt, loss, bytes, target });
        }
      }
    }
  }
  return all;
}

function chosen() {
  const option = (name) => {
    const at = process.argv.indexOf(name);
    return at < 0 ? undefined : process.argv[at + 1] ?? '';
  };
  const only = option('--only');
  const times = option('--times');
  return cells()
    .filter((cell) => only === undefined || only === `${cell.path}:${cell.rtt}:${cell.loss}:${cell.bytes}`)
    .filter((cell) => !process.argv.includes('--check') || cell.target)
    .map((cell) => ({ ...cell, times: times ? Number(times) : cell.target ? 2 : 1 }));
}

async function main() {
  const server = await chromium.launchServer({ executablePath: '/usr/bin/chromium', headless: true, args: FLAGS });
  const browser = await chromium.connect(server.wsEndpoint());
  browser.pid = server.process().pid;
  console.log(`Chromium ${browser.version()}, ${cpus().length} cores, ${SECONDS} s per run`);
  console.log('| path | RTT ms | loss % | message KiB | Mbit/s | open ms | close seen after ms | native CPU s/Gbit | Chromium CPU s/Gbit | kernel, queue, pacer drops | load |');
  console.log('|---|---|---|---|---|---|---|---|---|---|---|');
  let missed = 0;
  for (const cell of chosen()) {
    const runs = [];
    for (let time = 0; time < cell.times; time += 1) {
      runs.push(await measure(browser, cell, time + 1));
      await sleep(100);
    }
    const list = (key, digits) => runs.map((run) => run[key]?.toFixed(digits) ?? '-').join(', ');
    const drops = runs.map((run) => `${run.kernelDrops}/${run.queueDropped}/${run.pacerDropped}`).join(', ');
    const failed = cell.target && Math.min(...runs.map((run) => run.mbit)) < cell.target;
    missed += failed ? 1 : 0;
    const rate = `${list('mbit', 1)}${cell.target ? ` (target ${cell.target}${failed ? ', MISSED' : ''})` : ''}`;
    console.log(`| ${PATHS[cell.path]} | ${cell.rtt} | ${cell.loss} | ${cell.bytes / 1024} | ${rate} | ${list('up', 0)} | ${list('down', 0)} | ${
      list('nativeCpuPerGbit', 1)} | ${list('chromiumCpuPerGbit', 1)} | ${drops} | ${list('load', 1)} |`);
  }
  await browser.close();
  await server.close();
  process.exitCode = missed ? 1 : 0;
}

await main();
