//! Runs the real command.
#![allow(dead_code)] // each test file uses its own part

pub mod cases;
#[cfg(target_os = "linux")]
pub mod wires;

use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::{JoinHandle, sleep, spawn};
use std::time::{Duration, Instant};

/// A step that takes longer has failed.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// The command under test; `PEERSTREAM_BIN` names another build of it, a release build for measurements.
pub fn command() -> Command {
    let binary = std::env::var_os("PEERSTREAM_BIN").unwrap_or_else(|| env!("CARGO_BIN_EXE_peerstream").into());
    let mut command = Command::new(binary);
    command.env_remove("RUST_LOG").env("NO_COLOR", "1").stdin(Stdio::null());
    command
}

/// A process that is killed at the end of its test.
pub struct Process {
    pub child: Child,
    log: Arc<Mutex<String>>,
}

impl Process {
    pub fn start(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the command starts");
        let log = Arc::<Mutex<String>>::default();
        let (copy, stderr) = (log.clone(), child.stderr.take().unwrap());
        spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                let mut log = copy.lock().unwrap();
                log.push_str(&line);
                log.push('\n');
            }
        });
        Self { child, log }
    }

    /// What it wrote to standard error so far.
    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Reads standard output to its end in a thread.
    pub fn collect(&mut self) -> JoinHandle<Vec<u8>> {
        let mut stdout = self.child.stdout.take().unwrap();
        spawn(move || {
            let mut all = Vec::new();
            stdout.read_to_end(&mut all).unwrap();
            all
        })
    }

    pub fn wait(&mut self) -> ExitStatus {
        let mut status = None;
        until("the process ends", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap()
    }

    /// Sends a signal by its name, such as `STOP`.
    pub fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args([&format!("-{name}"), &id]).status().unwrap().success());
    }

    /// Seconds of CPU time it has used (Linux).
    pub fn cpu_seconds(&self) -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap_or_default();
        let fields: Vec<_> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let ticks = |index: usize| fields.get(index).and_then(|ticks| ticks.parse::<f64>().ok()).unwrap_or_default();
        (ticks(11) + ticks(12)) / 100.0
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- log of process {}:\n{}", self.child.id(), self.log());
        }
    }
}

/// A broadcast.
pub struct Server {
    pub process: Process,
    /// Such as `http://127.0.0.1:40000/`.
    pub url: String,
    pub input: Option<ChildStdin>,
    pub folder: tempfile::TempDir,
}

impl Server {
    /// A data broadcast on free ports whose input is the test's.
    pub fn data(flags: &[&str]) -> Self {
        Self::start(&[&["--kind", "data"], flags].concat())
    }

    pub fn start(flags: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut serve = command();
        serve.args(["serve", "--listen", "127.0.0.1:0", "--key"]).arg(folder.path().join("key"));
        if !flags.contains(&"--config") {
            serve.arg("--config").arg(free_stun_port(folder.path()));
        }
        let (process, url, input) = launch(serve.args(flags));
        Self { process, url, input, folder }
    }

    /// Kills a data broadcast and starts it again in the same place; what it is given from now on is a new input.
    pub fn crash(&mut self) {
        self.process.child.kill().unwrap();
        self.process.wait();
        let address = self.url.trim_start_matches("http://").trim_end_matches('/');
        let mut serve = command();
        serve.args(["serve", "--kind", "data", "--listen", address, "--key"]).arg(self.folder.path().join("key"));
        serve.arg("--config").arg(free_stun_port(self.folder.path()));
        (self.process, self.url, self.input) = launch(&mut serve);
    }

    /// A demo on free ports.
    pub fn demo(flags: &[&str]) -> Self {
        Self::demo_by(command(), flags)
    }

    /// The same, started by this command.
    pub fn demo_by(demo: Command, flags: &[&str]) -> Self {
        Self::demo_in(tempfile::tempdir().unwrap(), demo, flags)
    }

    /// The same with the key that is in this folder, or will be.
    pub fn demo_in(folder: tempfile::TempDir, demo: Command, flags: &[&str]) -> Self {
        let key = folder.path().join("key");
        Self::demo_of(demo, folder, &key, flags)
    }

    /// A demo on free ports of the publisher whose key is here.
    pub fn demo_with(key: &Path, flags: &[&str]) -> Self {
        Self::demo_of(command(), tempfile::tempdir().unwrap(), key, flags)
    }

    fn demo_of(mut demo: Command, folder: tempfile::TempDir, key: &Path, flags: &[&str]) -> Self {
        demo.args(["demo", "--listen", "127.0.0.1:0", "--set", "stun.listen=\"127.0.0.1:0\"", "--key"]);
        let mut process = Process::start(demo.arg(key).args(flags));
        let mut lines = BufReader::new(process.child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let first = lines.find_map(|line| line.strip_prefix("watch at ").map(str::to_owned));
        let url = first.unwrap_or_else(|| panic!("no address is shown; log:\n{}", process.log()));
        spawn(move || lines.for_each(drop));
        Self { process, url, input: None, folder }
    }

    pub fn write(&mut self, bytes: &[u8]) {
        let input = self.input.as_mut().expect("the input is open");
        input.write_all(bytes).and_then(|()| input.flush()).expect("the broadcast takes input");
    }

    pub fn watch(&self, flags: &[&str]) -> Process {
        Process::start(command().arg("watch").arg(&self.url).args(flags))
    }

    /// The value of a metric without labels.
    pub fn metric(&self, name: &str) -> u64 {
        let text = get(&format!("{}metrics", self.url)).1;
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no metric {name} in:\n{text}")).parse().unwrap()
    }

    pub fn overlay(&self) -> serde_json::Value {
        serde_json::from_str(&get(&format!("{}api/v1/overlay", self.url)).1).unwrap()
    }

    /// Waits until so many nodes have a parent that feeds them.
    pub fn wait_for_fed(&self, count: usize) {
        until("all watchers are placed", || {
            let overlay = self.overlay();
            let nodes = overlay["nodes"].as_array().unwrap().iter();
            let open =
                |node: &&serde_json::Value| node["links"].as_array().unwrap().iter().any(|link| link["open"] == true);
            nodes.filter(|node| node["role"] != "Source").filter(open).count() >= count
        });
    }
}

/// A broadcast whose input is the test's: the process, its address and the input.
fn launch(serve: &mut Command) -> (Process, String, Option<ChildStdin>) {
    let mut process = Process::start(serve.stdin(Stdio::piped()));
    let mut lines = BufReader::new(process.child.stdout.take().unwrap()).lines();
    let first = lines.next().and_then(Result::ok);
    let Some(first) = first else { panic!("no address is shown; log:\n{}", process.log()) };
    spawn(move || lines.for_each(drop));
    let url = first.strip_prefix("watch at ").unwrap_or_else(|| panic!("`{first}` has no address")).to_owned();
    let input = process.child.stdin.take();
    (process, url, input)
}

/// A config with which no two tests want the same STUN port.
pub fn free_stun_port(folder: &Path) -> PathBuf {
    let path = folder.join("config.toml");
    std::fs::write(&path, "[stun]\nlisten = \"127.0.0.1:0\"\n").unwrap();
    path
}

/// Status, body and headers of a GET.
pub fn get(url: &str) -> (u16, String) {
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let mut response = agent.get(url).call().unwrap_or_else(|error| panic!("{url}: {error}"));
    (response.status().as_u16(), response.body_mut().read_to_string().unwrap())
}

/// Runs the command to its end; it must not take long.
pub fn run(arguments: &[&str]) -> Output {
    command().args(arguments).output().unwrap()
}

/// Checks that the command fails with this code and says all these words.
#[track_caller]
pub fn check_fails(arguments: &[&str], code: i32, words: &[&str]) {
    let output = run(arguments);
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {text}");
    words.iter().for_each(|word| assert!(text.contains(word), "{arguments:?}: `{word}` is not in: {text}"));
    assert!(output.stdout.is_empty(), "standard output carries only payload");
}

#[track_caller]
pub fn until(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}");
        sleep(Duration::from_millis(20));
    }
}

/// Bytes without a pattern, the same for the same seed (xorshift).
pub fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let word = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    let mut bytes: Vec<u8> = (0..len.div_ceil(8)).flat_map(word).collect();
    bytes.truncate(len);
    bytes
}
