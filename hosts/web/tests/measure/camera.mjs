// A camera for measuring: pictures made on schedule, with the wall clock as a bar code, encoded as OBS would and published over RTMP.
import { spawn, spawnSync } from "node:child_process";

import { bars, FPS, HEIGHT, STRIP, WIDTH } from "./clip.mjs";

const FRAME_BYTES = (WIDTH * HEIGHT * 3) / 2;
/** Pictures that are shown over and over. */
const PICTURES = 60;

/** Publishes to this address until `stop()`. `sound` adds a tone from a generator of its own, `keys_s` are the seconds from one key picture to the next. */
export function camera(url, { kbps = 1_500, sound = false, keys_s = 1 } = {}) {
  const made = ["-f", "lavfi", "-i", `testsrc2=size=${WIDTH}x${HEIGHT}:rate=${FPS}:duration=${PICTURES / FPS}`];
  const raw = ["-f", "rawvideo", "-pix_fmt", "yuv420p"];
  const { stdout } = spawnSync("ffmpeg", ["-v", "error", ...made, ...raw, "-"], { maxBuffer: FRAME_BYTES * (PICTURES + 1) });
  const input = [...raw, "-s", `${WIDTH}x${HEIGHT}`, "-r", `${FPS}`, "-i", "-"];
  const tone = sound ? ["-f", "lavfi", "-i", "sine=f=440:r=48000"] : [];
  const video = ["-c:v", "libx264", "-preset", "veryfast", "-tune", "zerolatency", "-pix_fmt", "yuv420p", "-g", `${Math.round(FPS * keys_s)}`, "-bf", "0"];
  const rate = ["-sc_threshold", "0", "-b:v", `${kbps}k`, "-maxrate", `${kbps}k`, "-bufsize", `${kbps / 2}k`, "-c:a", "aac"];
  const flags = ["-v", "error", "-fflags", "nobuffer", "-flush_packets", "1"];
  const encoder = spawn("ffmpeg", [...flags, ...input, ...tone, ...video, ...rate, "-f", "flv", url], { stdio: ["pipe", "inherit", "inherit"] });
  encoder.stdin.on("error", () => undefined);
  const began = performance.now();
  let count = 0;
  const timer = setInterval(() => {
    for (; count < ((performance.now() - began) * FPS) / 1000; count += 1) {
      const at = (count % PICTURES) * FRAME_BYTES;
      const picture = Buffer.from(stdout.subarray(at, at + FRAME_BYTES));
      const row = bars(Date.now() % 65_536);
      for (let y = 0; y < STRIP; y += 1) row.copy(picture, y * WIDTH);
      // Grey: the colours below would tint the bars.
      for (const plane of [WIDTH * HEIGHT, (WIDTH * HEIGHT * 5) / 4]) picture.fill(128, plane, plane + (WIDTH * STRIP) / 4);
      encoder.stdin.write(picture);
    }
  }, 2);
  const stop = () => {
    clearInterval(timer);
    encoder.kill("SIGKILL");
  };
  return { stop };
}
