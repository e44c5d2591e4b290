// Builds the module. With an installed wasm32 target that is one plain cargo call; otherwise std is built from the sources
// of another toolchain (on Debian: `apt-get install rustc-web rust-web-src`).
import { execFileSync } from "node:child_process";
import { copyFileSync, existsSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";

const TARGET = "wasm32-unknown-unknown";

const output = (program, args, options) => execFileSync(program, args, { encoding: "utf8", ...options }).trim();

/** The compiler to use, and whether it has to build std first. `PEERSTREAM_WASM_RUSTC` names another one. */
export function compiler(root) {
  const own = process.env.PEERSTREAM_WASM_RUSTC;
  for (const rustc of own ? [own] : ["rustc", "/usr/bin/rustc"]) {
    if (rustc.startsWith("/") && !existsSync(rustc)) continue;
    const sysroot = output(rustc, ["--print", "sysroot"], { cwd: root });
    const target = output(rustc, ["--print", "target-libdir", "--target", TARGET], { cwd: root });
    if (existsSync(target)) return { rustc, sysroot, buildStd: false };
    if (existsSync(join(sysroot, "lib/rustlib/src/rust/library/Cargo.lock"))) return { rustc, sysroot, buildStd: true };
  }
  throw new Error(
    `no compiler for ${TARGET}: run "rustup target add ${TARGET}", ` +
      'or on Debian "apt-get install rustc-web rust-web-src", or set PEERSTREAM_WASM_RUSTC',
  );
}

/** Paths of this machine that must not end up in the module, with what stands for them. */
function remaps(root, sysroot, targetDir) {
  return [
    [homedir(), "/home"],
    [process.env.CARGO_HOME ?? join(homedir(), ".cargo"), "/cargo"],
    [join(sysroot, "lib/rustlib/src/rust"), "/rustc"],
    [targetDir, "/target"],
    [root, "/peerstream"],
  ];
}

/** Compiles the module and copies it to `destination`. Returns the compiler's version. */
export function buildWasm(root, destination) {
  const { rustc, sysroot, buildStd } = compiler(root);
  const targetDir = process.env.CARGO_TARGET_DIR ?? join(root, "target/wasm");
  const paths = remaps(root, sysroot, targetDir);
  const env = {
    ...process.env,
    RUSTC: rustc,
    CARGO_TARGET_DIR: targetDir,
    RUSTFLAGS: paths.map(([from, to]) => `--remap-path-prefix=${from}=${to}`).join(" "),
  };
  const args = ["build", "--locked", "--profile", "wasm", "-p", "peerstream-web", "--lib", "--target", TARGET];
  if (buildStd) {
    const host = /host: (.*)/.exec(output("rustc", ["-vV"], { cwd: root }))?.[1];
    const linker = join(output("rustc", ["--print", "sysroot"], { cwd: root }), `lib/rustlib/${host}/bin/rust-lld`);
    if (existsSync(linker)) env.CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER ??= linker;
    env.RUSTC_BOOTSTRAP = "1";
    args.push("-Z", "build-std=std,panic_abort");
  }
  execFileSync("cargo", args, { cwd: root, env, stdio: "inherit" });
  const built = join(targetDir, TARGET, "wasm/peerstream_web.wasm");
  refusePaths(built, paths);
  copyFileSync(built, destination);
  return output(rustc, ["--version"], { cwd: root });
}

function refusePaths(file, paths) {
  const bytes = readFileSync(file);
  for (const [path] of paths) {
    if (path.length > 1 && bytes.includes(path)) throw new Error(`the module contains the path ${path}`);
  }
}
