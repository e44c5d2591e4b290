// A real OBS without a screen, or ffmpeg, which publishes a flash and a beep every two seconds, and what became of them in a recording.
import { spawn, spawnSync } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { quantile } from "./numbers.mjs";

const WIDTH = 640;
const HEIGHT = 360;
const FPS = 30;
/** A flash and a beep begin this often, in seconds. */
const BEAT_S = 2;
const MEDIA_S = 20;

const PROFILE = `[General]
Name=Measure
[Output]
Mode=Simple
Reconnect=true
RetryDelay=2
MaxRetries=25
[SimpleOutput]
VBitrate=1000
ABitrate=128
StreamEncoder=x264
UseAdvanced=true
Preset=ultrafast
x264Settings=tune=zerolatency keyint=${FPS} bframes=0
[Video]
BaseCX=${WIDTH}
BaseCY=${HEIGHT}
OutputCX=${WIDTH}
OutputCY=${HEIGHT}
FPSType=0
FPSCommon=${FPS}
[Audio]
SampleRate=48000
ChannelSetup=Stereo
`;
const GLOBAL = "[General]\nFirstRun=true\nEnableAutoUpdates=false\nLastVersion=486539266\n";

/** A picture that flashes and a sound that beeps, both at once. */
function makeMedia(file) {
  const flash = `drawbox=enable='lt(mod(t,${BEAT_S}),0.1)':color=white:t=fill`;
  const picture = `testsrc2=size=${WIDTH}x${HEIGHT}:rate=${FPS}:duration=${MEDIA_S},eq=brightness=-0.3,${flash}`;
  const beep = `aevalsrc='if(lt(mod(t,${BEAT_S}),0.1),sin(2*PI*1000*t)*0.5,0)':s=48000:d=${MEDIA_S}`;
  const inputs = ["-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", beep];
  const video = ["-c:v", "libx264", "-pix_fmt", "yuv420p", "-tune", "zerolatency", "-g", `${FPS}`, "-b:v", "1000k"];
  spawnSync("ffmpeg", ["-v", "error", "-y", ...inputs, ...video, "-c:a", "aac", file], { stdio: "inherit" });
}

/** Has ffmpeg publish the same again and again, as it was encoded once, until `stop()`. */
export async function startFfmpeg(server, key) {
  const home = await mkdtemp(join(tmpdir(), "peerstream-ffmpeg-"));
  const media = join(home, "media.mp4");
  makeMedia(media);
  const args = ["-v", "error", "-re", "-stream_loop", "-1", "-i", media, "-c", "copy", "-flush_packets", "1", "-f", "flv", `${server}/${key}`];
  const child = spawn("ffmpeg", args, { stdio: ["ignore", "ignore", "inherit"] });
  process.once("exit", () => child.kill("SIGKILL"));
  return {
    stop: async () => {
      child.kill("SIGKILL");
      await rm(home, { recursive: true, force: true });
    },
  };
}

/** Starts OBS, which publishes to `server` with `key` until `stop()`. */
export async function startObs(server, key) {
  const home = await mkdtemp(join(tmpdir(), "peerstream-obs-"));
  const basic = join(home, ".config/obs-studio/basic");
  const media = join(home, "media.mp4");
  makeMedia(media);
  const item = { id: 1, name: "Media", visible: true, pos: { x: 0, y: 0 }, scale: { x: 1, y: 1 } };
  const settings = { is_local_file: true, local_file: media, looping: true, hw_decode: false };
  const collection = {
    name: "Measure",
    current_scene: "Scene",
    current_program_scene: "Scene",
    scene_order: [{ name: "Scene" }],
    sources: [
      { id: "scene", name: "Scene", settings: { items: [item], id_counter: 1 } },
      { id: "ffmpeg_source", name: "Media", settings, mixers: 255 },
    ],
  };
  const service = { type: "rtmp_custom", settings: { server, key, use_auth: false, bwtest: false } };
  await mkdir(join(basic, "profiles/Measure"), { recursive: true });
  await mkdir(join(basic, "scenes"), { recursive: true });
  await mkdir(join(home, "run"), { mode: 0o700 });
  await writeFile(join(home, ".config/obs-studio/global.ini"), GLOBAL);
  await writeFile(join(basic, "profiles/Measure/basic.ini"), PROFILE);
  await writeFile(join(basic, "profiles/Measure/service.json"), JSON.stringify(service));
  await writeFile(join(basic, "scenes/Measure.json"), JSON.stringify(collection));
  const env = {
    ...process.env,
    HOME: home,
    XDG_CONFIG_HOME: join(home, ".config"),
    XDG_RUNTIME_DIR: join(home, "run"),
    LIBGL_ALWAYS_SOFTWARE: "1",
    QT_QPA_PLATFORM: "xcb",
  };
  const screen = ["-a", "-s", "-screen 0 1280x800x24 +extension GLX"];
  const which = ["--profile", "Measure", "--collection", "Measure", "--scene", "Scene"];
  const quiet = ["--minimize-to-tray", "--multi", "--disable-updater", "--disable-missing-files-check"];
  const child = spawn("xvfb-run", [...screen, "obs", "--startstreaming", ...quiet, ...which], { env, detached: true, stdio: "ignore" });
  const kill = () => {
    try {
      process.kill(-child.pid, "SIGKILL");
    } catch {
      // It has ended by itself.
    }
  };
  process.once("exit", kill);
  return {
    stop: async () => {
      kill();
      await rm(home, { recursive: true, force: true });
    },
  };
}

/** When something that is printed for each frame goes beyond a threshold, in seconds. */
function rises(args, value, threshold) {
  const { stdout } = spawnSync("ffmpeg", ["-v", "error", ...args, "-f", "null", "-"], { encoding: "utf8", maxBuffer: 1 << 28 });
  const times = [];
  let at = 0;
  let high = false;
  for (const line of stdout.split("\n")) {
    const time = /pts_time:([\d.]+)/.exec(line);
    if (time) at = Number(time[1]);
    const found = value.exec(line);
    if (!found) continue;
    const now = Number(found[1]) > threshold;
    if (now && !high) times.push(at);
    high = now;
  }
  return times;
}

/** By how much the beeps come after the flashes in a minute of a recording, in milliseconds; and where that minute's beats are. */
export function soundAfterPicture(file, from_s) {
  const window = ["-ss", String(from_s), "-t", "60", "-copyts", "-i", file];
  const flashes = rises([...window, "-an", "-vf", "signalstats,metadata=print:key=lavfi.signalstats.YAVG:file=-"], /YAVG=([\d.]+)/, 180);
  const tone = "asetnsamples=240,astats=metadata=1:reset=1,ametadata=print:key=lavfi.astats.Overall.RMS_level:file=-";
  const beeps = rises([...window, "-vn", "-af", tone], /RMS_level=(-?[\d.]+)/, -30);
  const after = flashes.flatMap((flash) => beeps.filter((beep) => Math.abs(beep - flash) < BEAT_S / 2).map((beep) => (beep - flash) * 1000));
  return { beats: after.length, p50_ms: Math.round(quantile(after, 0.5) ?? NaN), max_ms: Math.round(Math.max(...after.map(Math.abs))) };
}
