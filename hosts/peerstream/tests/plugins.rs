//! Plug-ins from libraries in a running broadcast, and what their authors are given.

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use common::{Process, Server, check_fails, noise, run, until};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// Where this test was built.
fn target() -> PathBuf {
    let binary = Path::new(env!("CARGO_BIN_EXE_peerstream"));
    binary.parent().and_then(Path::parent).unwrap().to_owned()
}

/// A folder with one library and a config that loads it.
struct Installed {
    folder: tempfile::TempDir,
    file: PathBuf,
}

impl Installed {
    fn new(build: impl FnOnce(&Path)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let file = folder.path().join("libit.so");
        build(&file);
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        Self { folder, file }
    }

    fn of_c(source: &str, definitions: &[&str]) -> Self {
        Self::new(|file| {
            let mut cc = Command::new("cc");
            cc.args(["-std=gnu11", "-O1", "-w", "-shared", "-fPIC", "-I"]).arg(root().join("plugin-sdk/include"));
            cc.args(definitions.iter().map(|name| format!("-D{name}")));
            let built = cc.arg(root().join(source)).arg("-o").arg(file).status().expect("a C compiler runs");
            assert!(built.success());
        })
    }

    fn of_crate(package: &str) -> Self {
        Self::new(|file| {
            let mut cargo = Command::new(env!("CARGO"));
            cargo.args(["build", "--locked", "--features", "dynamic", "-p", package, "--target-dir"]).arg(target());
            assert!(cargo.current_dir(root()).status().expect("cargo runs").success());
            let library = format!("debug/lib{}.so", package.replace('-', "_"));
            fs::copy(target().join(library), file).unwrap();
        })
    }

    /// A config that loads it by its pin and has this beside.
    fn config(&self, rest: &str) -> PathBuf {
        let pin = run(&["plugins", "pin", self.file.to_str().unwrap()]);
        let pin = String::from_utf8(pin.stdout).unwrap();
        let path = self.folder.path().join("config.toml");
        let dirs = format!("[plugins]\ndirs = [{:?}]\n", self.folder.path().to_str().unwrap());
        fs::write(&path, format!("{dirs}{pin}\n[stun]\nlisten = \"127.0.0.1:0\"\n{rest}")).unwrap();
        path
    }
}

/// Serves with the strategy of this name; three watchers get each byte.
#[track_caller]
fn check_broadcast(installed: &Installed, strategy: &str) {
    let config = installed.config(&format!("[strategy]\nuse = \"{strategy}\"\n"));
    let mut server = Server::data(&["--config", config.to_str().unwrap()]);
    let mut watchers: Vec<Process> = (0..3).map(|_| server.watch(&["-o", "-"])).collect();
    let outputs: Vec<_> = watchers.iter_mut().map(Process::collect).collect();
    server.wait_for_fed(3);
    // Their requests are on the way.
    sleep(Duration::from_secs(1));
    assert_eq!(server.overlay()["strategy"], strategy);
    let bytes = noise(1, 500_000);
    for chunk in bytes.chunks(50_000) {
        server.write(chunk);
        sleep(Duration::from_millis(50));
    }
    server.input = None;
    for (watcher, output) in watchers.iter_mut().zip(outputs) {
        assert_eq!(watcher.wait().code(), Some(0), "{}", watcher.log());
        assert!(output.join().unwrap() == bytes);
    }
}

#[test]
fn a_strategy_in_rust_is_loaded_into_a_broadcast() {
    check_broadcast(&Installed::of_crate("peerstream-example-strategy"), "first-free");
}

#[test]
fn a_strategy_in_c_is_loaded_into_a_broadcast() {
    check_broadcast(&Installed::of_c("examples/strategy-c/first_free.c", &[]), "first-free-c");
}

#[test]
fn an_archive_that_is_no_recording_keeps_all_rules_as_a_library() {
    let installed = Installed::of_crate("peerstream-example-tracks");
    let options = format!("{{\"folder\": {:?}}}", installed.folder.path().join("tracks"));
    let rules = run(&["plugins", "test", installed.file.to_str().unwrap(), "--options", &options]);
    assert!(rules.status.success(), "{}", String::from_utf8_lossy(&rules.stdout));
}

/// The strategy breaks down in this way; the dumbbell takes over, and nobody notices but the log.
#[track_caller]
fn check_replaced(fault: &str, word: &str) {
    let installed = Installed::of_c("framework/loader/tests/corpus/plugin.c", &[fault]);
    let config = installed.config("[strategy]\nuse = \"star\"\n");
    let mut server = Server::data(&["--config", config.to_str().unwrap()]);
    let mut watchers: Vec<Process> = (0..3).map(|_| server.watch(&["-o", "-"])).collect();
    let outputs: Vec<_> = watchers.iter_mut().map(Process::collect).collect();
    until("the dumbbell takes over", || server.overlay()["strategy"] == "dumbbell");
    until("the log has come", || server.process.log().contains(word));
    server.wait_for_fed(3);
    sleep(Duration::from_secs(1));
    let bytes = noise(2, 200_000);
    server.write(&bytes);
    server.input = None;
    for (watcher, output) in watchers.iter_mut().zip(outputs) {
        assert_eq!(watcher.wait().code(), Some(0), "{}", watcher.log());
        assert!(output.join().unwrap() == bytes, "{fault}");
    }
    assert_eq!(server.metric("peerstream_coordinator_strategies_replaced_total"), 1);
}

#[test]
fn a_strategy_that_hangs_is_replaced_while_the_broadcast_goes_on() {
    check_replaced("FAULT_HANG", "did not answer within 1000 ms");
}

#[test]
fn a_strategy_that_plans_nonsense_is_replaced_while_the_broadcast_goes_on() {
    check_replaced("FAULT_UNKNOWN_CODE", "operation 99");
}

#[test]
fn a_strategy_whose_plans_are_always_rejected_is_replaced_while_the_broadcast_goes_on() {
    check_replaced("FAULT_CYCLE", "leaves members without a parent");
}

#[test]
fn what_is_wrong_with_a_library_is_told_with_its_place_in_the_config() {
    let installed = Installed::of_c("framework/loader/tests/corpus/plugin.c", &["FAULT_WRONG_MAJOR"]);
    let config = installed.config("[strategy]\nuse = \"star\"\n");
    let config = config.to_str().unwrap();
    check_fails(&["check", config], 2, &["error[PS0204]", ":4:", "ABI 2.1", "speaks 0.1"]);
    fs::write(&installed.file, "something else").unwrap();
    check_fails(&["check", config], 2, &["error[PS0203]", "has changed", "sha256 = "]);
    fs::remove_file(&installed.file).unwrap();
    check_fails(&["check", config], 2, &["error[PS0201]", "libit.so"]);
}

#[test]
fn a_new_strategy_builds_passes_and_runs_in_the_lab_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let sdk = root().join("plugin-sdk");
    let begin = |arguments: &[&str]| common::command().current_dir(folder.path()).args(arguments).output().unwrap();
    let made = begin(&["plugins", "new", "mine", "--kind", "strategy", "--sdk", sdk.to_str().unwrap()]);
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let again = begin(&["plugins", "new", "mine", "--kind", "strategy"]);
    assert!(!again.status.success());
    let home = folder.path().join("mine");
    fs::copy(root().join("Cargo.lock"), home.join("Cargo.lock")).unwrap();
    let target = target().join("new-plugin");
    let cargo = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO"));
        command.args(arguments).arg("--target-dir").arg(&target).current_dir(&home);
        assert!(command.status().expect("cargo runs").success(), "{arguments:?}");
    };
    cargo(&["test", "--quiet"]);
    cargo(&["build", "--quiet", "--features", "dynamic"]);
    let library = target.join("debug/libmine.so");
    let library = library.to_str().unwrap();
    let rules = run(&["plugins", "test", library]);
    let said = String::from_utf8(rules.stdout).unwrap();
    assert!(rules.status.success() && said.contains("strategy/mine") && said.contains("every rule is kept"), "{said}");
    let lab = ["lab", "compare", "lag", "--viewers", "40", "--minutes", "0.2"];
    let compared = run(&[&lab[..], &["--strategy", "dumbbell", "--strategy", library]].concat());
    let said = String::from_utf8_lossy(&compared.stdout).into_owned();
    assert!(said.contains("dumbbell") && said.contains("libmine.so"), "{said}");
}

#[test]
fn a_sound_library_passes_and_a_broken_one_says_which_rule_it_breaks() {
    let sound = Installed::of_c("examples/strategy-c/first_free.c", &[]);
    assert!(run(&["plugins", "test", sound.file.to_str().unwrap()]).status.success());
    let broken = Installed::of_c("framework/loader/tests/corpus/plugin.c", &["FAULT_CYCLE"]);
    let output = run(&["plugins", "test", broken.file.to_str().unwrap()]);
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("BROKEN  every plan is valid") && said.contains("would serve itself"), "{said}");
}

#[test]
fn a_signed_library_needs_no_pin() {
    let installed = Installed::of_c("examples/strategy-c/first_free.c", &[]);
    let key = installed.folder.path().join("vendor.key");
    let (key, file) = (key.to_str().unwrap(), installed.file.to_str().unwrap());
    let public = String::from_utf8(run(&["keygen", key]).stdout).unwrap();
    assert!(run(&["plugins", "sign", file, "--key", key]).status.success());
    let config = installed.folder.path().join("signed.toml");
    let dirs = format!("[plugins]\ndirs = [{:?}]\n", installed.folder.path().to_str().unwrap());
    let trust = format!("require = \"signature\"\ntrusted_keys = [\"{}\"]\n", public.trim());
    let rest = "[plugins.load.it]\nfile = \"libit.so\"\n[strategy]\nuse = \"first-free-c\"\n";
    let text = format!("{dirs}{trust}{rest}");
    fs::write(&config, &text).unwrap();
    let checked = run(&["check", config.to_str().unwrap()]);
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
    fs::write(&config, text.replace(public.trim(), &"ab".repeat(32))).unwrap();
    check_fails(&["check", config.to_str().unwrap()], 2, &["error[PS0203]", "none of the 1 trusted keys"]);
}

/// A token as the shop of the example makes it: a JSON Web Token with HMAC-SHA-256, good for a minute.
fn token(secret: &str) -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let script = "import base64,hashlib,hmac,json,sys\n\
        e=lambda b:base64.urlsafe_b64encode(b).rstrip(b'=')\n\
        m=e(json.dumps({'alg':'HS256','typ':'JWT'}).encode())+b'.'+e(json.dumps({'exp':int(sys.argv[2])+60}).encode())\n\
        print((m+b'.'+e(hmac.new(sys.argv[1].encode(),m,hashlib.sha256).digest())).decode())";
    let output = Command::new("python3").args(["-c", script, secret, &now.to_string()]).output().expect("python3 runs");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn the_integrators_example_is_a_deployment() {
    let folder = tempfile::tempdir().unwrap();
    let secret = "a secret that is as long as it needs to be";
    let prom = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut serve = common::command();
    serve.current_dir(folder.path()).env("SHOP_SECRET", secret).env("PEERSTREAM_STUN__LISTEN", "127.0.0.1:0");
    serve.env("PEERSTREAM_TELEMETRY__PROM__CONFIG__LISTEN", prom.to_string());
    serve.args(["serve", "--kind", "data", "--listen", "127.0.0.1:0", "--key", "key", "--config"]);
    let mut process = Process::start(
        serve.arg(root().join("examples/integrator/peerstream.toml")).stdin(std::process::Stdio::piped()),
    );
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(process.child.stdout.take().unwrap()), &mut line).unwrap();
    let url =
        line.trim().strip_prefix("watch at ").unwrap_or_else(|| panic!("no address: {}", process.log())).to_owned();
    let watch = |flags: &[&str]| Process::start(common::command().args(["watch", &url, "-o", "-"]).args(flags));
    let mut stranger = watch(&[]);
    assert_ne!(stranger.wait().code(), Some(0), "{}", stranger.log());
    let mut guest = watch(&["--token", &token(secret)]);
    let heard = guest.collect();
    let overlay = || common::get(&format!("{url}api/v1/overlay")).1;
    until("the guest is in", || overlay().contains("\"members\":1"));
    sleep(Duration::from_secs(1));
    let bytes = noise(3, 100_000);
    std::io::Write::write_all(&mut process.child.stdin.take().unwrap(), &bytes).unwrap();
    assert_eq!(guest.wait().code(), Some(0), "{}", guest.log());
    assert!(heard.join().unwrap() == bytes);
    until("Prometheus finds figures", || common::get(&format!("http://{prom}/metrics")).1.contains("peerstream_"));
    let kept: u64 = walk(&folder.path().join("recordings")).iter().map(|file| fs::metadata(file).unwrap().len()).sum();
    assert!(kept > 100_000, "{kept} bytes of recordings");
}

fn walk(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    entries.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect()
}
