//! A config that changes while a broadcast runs.
#![cfg(unix)]

mod common;

use std::fs;
use std::path::PathBuf;
use std::thread::sleep;
use std::time::Duration;

use common::{Process, Server, noise, until};

/// A broadcast whose config can be written anew.
struct Live {
    server: Server,
    path: PathBuf,
    _folder: tempfile::TempDir,
}

impl Live {
    fn with(config: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.toml");
        fs::write(&path, whole(config)).unwrap();
        let server = Server::data(&["--config", path.to_str().unwrap()]);
        Self { server, path, _folder: folder }
    }

    /// The config is this from now on; waits until the log says so, or says why not.
    fn change(&self, config: &str, said: &str) {
        fs::write(&self.path, whole(config)).unwrap();
        self.server.process.signal("HUP");
        until("the config is read again", || self.server.process.log().contains(said));
    }

    fn plugins(&self) -> String {
        common::get(&format!("{}api/v1/plugins", self.server.url)).1
    }
}

fn whole(config: &str) -> String {
    format!("[stun]\nlisten = \"127.0.0.1:0\"\n{config}")
}

#[test]
fn another_strategy_takes_over_and_no_watcher_misses_a_byte() {
    let mut live = Live::with("");
    let mut watchers: Vec<Process> = (0..4).map(|_| live.server.watch(&["-o", "-"])).collect();
    let outputs: Vec<_> = watchers.iter_mut().map(Process::collect).collect();
    live.server.wait_for_fed(4);
    sleep(Duration::from_secs(1));
    let bytes = noise(1, 1_000_000);
    for (index, chunk) in bytes.chunks(25_000).enumerate() {
        live.server.write(chunk);
        match index {
            10 => live.change("[strategy.config]\nroots = 1\n", "config read again applied=\"[strategy]\""),
            25 => live.change("[strategy.config]\nroots = 2\nstandby = false\n", "another strategy takes over"),
            _ => sleep(Duration::from_millis(50)),
        }
    }
    live.server.input = None;
    for (watcher, output) in watchers.iter_mut().zip(outputs) {
        assert_eq!(watcher.wait().code(), Some(0), "{}", watcher.log());
        assert!(output.join().unwrap() == bytes);
    }
}

#[test]
fn sinks_come_change_and_go() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (folder.path().join("a.jsonl"), folder.path().join("b.jsonl"));
    let sink =
        |path: &PathBuf| format!("[telemetry.log]\nuse = \"jsonl\"\nconfig.path = {:?}\n", path.to_str().unwrap());
    let live = Live::with("");
    live.change(&sink(&first), "applied=\"[telemetry.log]\"");
    assert!(live.plugins().contains("\"log\""), "{}", live.plugins());
    let _watcher = live.server.watch(&["-o", "-"]);
    until("the sink has heard of it", || fs::read_to_string(&first).is_ok_and(|text| text.contains("joined")));
    live.change(&sink(&second), "applied=\"[telemetry.log]\"");
    let _another = live.server.watch(&["-o", "-"]);
    until("the new file is written", || fs::read_to_string(&second).is_ok_and(|text| text.contains("joined")));
    live.change("", "");
    until("it is gone", || !live.plugins().contains("\"log\""));
}

#[test]
fn a_policy_can_be_put_before_the_door() {
    let live = Live::with("");
    let admission = || {
        let (_, facts) = common::get(&format!("{}api/v1/stream", live.server.url));
        serde_json::from_str::<serde_json::Value>(&facts).unwrap()["admission"].clone()
    };
    assert_eq!(admission(), "open");
    live.change("[admission]\nuse = \"proof-of-work\"\nconfig.bits = 8\n", "applied=\"[admission]\"");
    assert_eq!(admission(), "required");
    let mut watcher = live.server.watch(&["-o", "-"]);
    live.server.wait_for_fed(1);
    assert!(watcher.child.try_wait().unwrap().is_none(), "{}", watcher.log());
}

#[test]
fn what_cannot_change_or_is_wrong_is_refused_and_nothing_is_applied() {
    let live = Live::with("");
    let sink = "[telemetry.log]\nuse = \"jsonl\"\n";
    live.change(&format!("[limits]\nnodes = 7\n{sink}"), "[limits] can only be changed by a restart");
    live.change(&format!("{sink}[strategy]\nuse = \"mesh\"\n"), "PS0105");
    assert!(!live.plugins().contains("\"log\""), "{}", live.plugins());
    assert!(live.server.process.log().contains("everything goes on as it was"));
}
