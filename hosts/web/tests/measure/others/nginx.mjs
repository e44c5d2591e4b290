// Debian's nginx with its RTMP module, which makes HLS of what is published to it.
import { spawn } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

const MODULE = "/usr/lib/nginx/modules/ngx_rtmp_module.so";

const config = (folder, { rtmp, http, fragment_s }) => `load_module ${MODULE};
daemon off; master_process off; pid ${folder}/pid; error_log ${folder}/error.log warn;
events { worker_connections 1024; }
rtmp { server { listen 127.0.0.1:${rtmp}; application live {
  live on; hls on; hls_path ${folder}/hls; hls_fragment ${fragment_s * 1_000}ms; hls_playlist_length ${fragment_s * 12}s; hls_cleanup on; } } }
http { access_log off; client_body_temp_path ${folder}/body; proxy_temp_path ${folder}/proxy; fastcgi_temp_path ${folder}/fcgi;
  uwsgi_temp_path ${folder}/uwsgi; scgi_temp_path ${folder}/scgi;
  types { application/vnd.apple.mpegurl m3u8; video/mp2t ts; text/html html; text/javascript js; }
  server { listen 127.0.0.1:${http};
    location /hls { root ${folder}; add_header Cache-Control no-cache; add_header Access-Control-Allow-Origin *; }
    location / { root ${folder}/www; } } }
`;

/** Starts it with these pages, a text for each name; `rtmp` is where to publish, `url` where the pages are. */
export async function startNginx(pages, { fragment_s = 1 } = {}) {
  const folder = await mkdtemp(join(tmpdir(), "peerstream-nginx-"));
  const ports = { rtmp: 21_000 + (process.pid % 9_000), http: 31_000 + (process.pid % 9_000) };
  await Promise.all(["hls", "www"].map((name) => mkdir(join(folder, name))));
  await writeFile(join(folder, "nginx.conf"), config(folder, { ...ports, fragment_s }));
  for (const [name, text] of Object.entries(pages)) await writeFile(join(folder, "www", name), text);
  // Without a master its worker runs as who started it, who may write there.
  const child = spawn("nginx", ["-c", join(folder, "nginx.conf"), "-e", join(folder, "error.log")], { stdio: ["ignore", "inherit", "inherit"] });
  process.once("exit", () => child.kill("SIGKILL"));
  const url = `http://127.0.0.1:${ports.http}/`;
  return {
    url,
    rtmp: `rtmp://127.0.0.1:${ports.rtmp}/live`,
    /** Waits until there is something to play. */
    untilOnAir: async (name) => {
      for (;;) {
        const answer = await fetch(`${url}hls/${name}.m3u8`).catch(() => undefined);
        if (answer?.ok && (await answer.text()).split(".ts").length > 3) return;
        await new Promise((done) => setTimeout(done, 200));
      }
    },
    close: async () => {
      child.kill("SIGKILL");
      await rm(folder, { recursive: true, force: true });
    },
  };
}
