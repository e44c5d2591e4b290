//! The example runs: whoever watches hears the time.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(arguments: &[&str]) -> (Running, impl Iterator<Item = String> + use<>) {
    let folder = std::env::temp_dir().join(format!("talking-clock-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_talking-clock"));
    command.args(arguments).env("XDG_DATA_HOME", &folder).env("PEERSTREAM_STUN__LISTEN", "\"127.0.0.1:0\"");
    let mut child = command.stdout(Stdio::piped()).spawn().expect("the example starts");
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    (Running(child), lines)
}

#[test]
fn the_time_is_broadcast_and_heard() {
    let (_host, mut lines) = start(&["serve", "--listen", "127.0.0.1:0"]);
    let url = lines.next().unwrap().strip_prefix("watch at ").expect("an address").to_owned();
    let (_watcher, heard) = start(&["watch", &url, "-o", "-"]);
    let times: Vec<u64> = heard.take(3).map(|line| line.parse().expect("a time")).collect();
    assert!(times.windows(2).all(|pair| pair[1] > pair[0]), "{times:?}");
}
