// A clip for measuring: moving pictures at 1 Mbit/s with a 440 Hz tone, every frame numbered by a bar code.
import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { createWriteStream, existsSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Frames per second; twenty pages decoding 30 of them saturate two cores, and then the machine is measured. */
export const FPS = Number(process.env.FPS ?? 30);
export const SECONDS = 20;
export const WIDTH = 640;
export const HEIGHT = 360;
export const STRIP = 16;
const BITS = 24;
const BLOCK = Math.floor(WIDTH / BITS);

/** 16 bits of the frame's number, then 8 bits that must be its complement's sum. */
const check = (frame) => ((frame & 255) + (frame >> 8) + 90) & 255;
const code = (frame) => (frame * 256 + check(frame)) >>> 0;

/** A row of grey that says a number of 16 bits. */
export function bars(number) {
  const row = Buffer.alloc(WIDTH, 16);
  for (let bit = 0; bit < BITS; bit += 1) {
    if ((code(number) >>> (BITS - 1 - bit)) & 1) row.fill(235, bit * BLOCK, (bit + 1) * BLOCK);
  }
  return row;
}

async function writeStrips(path) {
  const file = createWriteStream(path);
  for (let frame = 0; frame < FPS * SECONDS; frame += 1) {
    const strip = Buffer.concat(Array.from({ length: STRIP }, () => bars(frame)));
    if (!file.write(strip)) await once(file, "drain");
  }
  file.end();
  await once(file, "finish");
}

/** Makes the clip once and returns its path. Needs ffmpeg. */
export async function makeClip() {
  const clip = join(tmpdir(), `peerstream-measure-${FPS}.mp4`);
  if (existsSync(clip)) return clip;
  const strips = `${clip}.gray`;
  await writeStrips(strips);
  const inputs = [
    ["-f", "lavfi", "-i", `testsrc2=size=${WIDTH}x${HEIGHT}:rate=${FPS}:duration=${SECONDS}`],
    ["-f", "rawvideo", "-pix_fmt", "gray", "-s", `${WIDTH}x${STRIP}`, "-r", `${FPS}`, "-i", strips],
    ["-f", "lavfi", "-i", `sine=f=440:duration=${SECONDS}`],
  ];
  const video = ["-c:v", "libx264", "-preset", "veryfast", "-tune", "zerolatency", "-pix_fmt", "yuv420p", "-g", `${FPS}`];
  const rate = ["-sc_threshold", "0", "-bf", "0", "-b:v", "930k", "-maxrate", "930k", "-bufsize", "465k"];
  const sound = ["-c:a", "aac", "-b:a", "64k"];
  const shape = ["-movflags", "frag_every_frame+empty_moov+default_base_moof", "-f", "mp4"];
  const filter = ["-filter_complex", "[0:v][1:v]overlay=0:0[v]", "-map", "[v]", "-map", "2:a"];
  const args = ["-y", "-loglevel", "error", ...inputs.flat(), ...filter, ...video, ...rate, ...sound, ...shape, clip];
  const made = spawnSync("ffmpeg", args, { stdio: ["ignore", "inherit", "inherit"] });
  if (made.status !== 0) throw new Error("ffmpeg could not make the clip");
  return clip;
}

/**
 * Reads the frames' numbers from the picture for `ms` and compares them with the media time: how many were read, misread, and how many
 * did not show the frame that the media time says.
 */
export function readBars(page, ms = 2_000) {
  return page.evaluate(readInPage, { ms, fps: FPS, seconds: SECONDS, width: WIDTH, bits: BITS, block: BLOCK, middle: STRIP / 2 });
}

async function readInPage({ ms, fps, seconds, width, bits, block, middle }) {
  const video = document.querySelector("peerstream-player").video;
  const canvas = new OffscreenCanvas(width, 1);
  const paint = canvas.getContext("2d", { willReadFrequently: true });
  const seen = { read: 0, misread: 0, wrong: 0 };
  const ends = performance.now() + ms;
  const check = (frame) => ((frame & 255) + (frame >> 8) + 90) & 255;
  return new Promise((done) => {
    const picture = (_now, { mediaTime }) => {
      paint.drawImage(video, 0, middle, width, 1, 0, 0, width, 1);
      const row = paint.getImageData(0, 0, width, 1).data;
      let value = 0;
      for (let bit = 0; bit < bits; bit += 1) value = value * 2 + (row[(bit * block + block / 2) * 4] > 128 ? 1 : 0);
      const frame = Math.floor(value / 256);
      if (check(frame) !== value % 256) seen.misread += 1;
      else {
        seen.read += 1;
        // Sound is a little longer than the picture, so that each round of the loop adds a frame or less.
        const shown = mediaTime * fps;
        const rounds = Math.round((shown - frame) / (fps * seconds));
        const off = shown - frame - rounds * fps * seconds;
        if (off < -2 || off > rounds + 2) seen.wrong += 1;
      }
      if (performance.now() < ends) video.requestVideoFrameCallback(picture);
      else done(seen);
    };
    video.requestVideoFrameCallback(picture);
  });
}

/**
 * Reads the wall clock in the picture of a `camera` for `ms`: milliseconds from the moment a picture was made to the moment it is shown, and
 * how many pictures were read and misread. The page is in front meanwhile.
 */
export async function glassToGlass(page, ms = 4_000) {
  await page.bringToFront();
  return page.evaluate(readClock, { ms, width: WIDTH, bits: BITS, block: BLOCK, middle: STRIP / 2 });
}

async function readClock({ ms, width, bits, block, middle }) {
  const video = document.querySelector("peerstream-player")?.video ?? document.querySelector("video");
  const canvas = new OffscreenCanvas(width, 1);
  const paint = canvas.getContext("2d", { willReadFrequently: true });
  const seen = { lags: [], misread: 0, head: video.currentTime };
  const begins = performance.now();
  const check = (number) => ((number & 255) + (number >> 8) + 90) & 255;
  return new Promise((done) => {
    const picture = (now, { expectedDisplayTime }) => {
      paint.drawImage(video, 0, middle, width, 1, 0, 0, width, 1);
      const row = paint.getImageData(0, 0, width, 1).data;
      let value = 0;
      for (let bit = 0; bit < bits; bit += 1) value = value * 2 + (row[(bit * block + block / 2) * 4] > 128 ? 1 : 0);
      const made = Math.floor(value / 256);
      const shown = Math.round(performance.timeOrigin + (expectedDisplayTime ?? now)) % 65_536;
      if (check(made) !== value % 256) seen.misread += 1;
      else seen.lags.push((shown - made + 65_536) % 65_536);
      if (performance.now() < begins + ms) return void video.requestVideoFrameCallback(picture);
      done({ ...seen, advanced: (video.currentTime - seen.head) / ((performance.now() - begins) / 1000) });
    };
    video.requestVideoFrameCallback(picture);
  });
}
