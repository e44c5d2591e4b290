//! A data broadcast from end to end: what goes in comes out, byte for byte.

mod common;

use std::fs;
use std::io::Read;
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use common::{Process, Server, noise, until};

/// Writes `bytes` at about `rate` bytes per second.
fn feed(server: &mut Server, bytes: &[u8], rate: usize) {
    for chunk in bytes.chunks(rate / 20) {
        server.write(chunk);
        sleep(Duration::from_millis(50));
    }
}

#[test]
fn three_watchers_get_each_byte() {
    let mut server = Server::data(&[]);
    let mut watchers: Vec<Process> = (0..3).map(|_| server.watch(&["-o", "-"])).collect();
    let outputs: Vec<_> = watchers.iter_mut().map(Process::collect).collect();
    server.wait_for_fed(3);
    let bytes = noise(1, 3_000_000);
    feed(&mut server, &bytes, 1_000_000);
    server.input = None;
    for (watcher, output) in watchers.iter_mut().zip(outputs) {
        assert_eq!(watcher.wait().code(), Some(0), "{}", watcher.log());
        let got = output.join().unwrap();
        assert!(got == bytes, "{} of {} bytes", got.len(), bytes.len());
    }
    until("all have left politely", || server.metric("peerstream_coordinator_left_total") == 3);
    assert_eq!(server.metric("peerstream_nodes"), 0);
}

#[test]
fn watchers_read_on_when_a_host_that_was_killed_goes_on() {
    let mut server = Server::data(&[]);
    let mut watchers: Vec<Process> = (0..2).map(|_| server.watch(&["-o", "-"])).collect();
    let outputs: Vec<_> = watchers.iter_mut().map(Process::collect).collect();
    server.wait_for_fed(2);
    let bytes = noise(8, 400_000);
    feed(&mut server, &bytes[..200_000], 400_000);
    // All of it has been given out.
    sleep(Duration::from_secs(1));
    server.crash();
    server.wait_for_fed(2);
    feed(&mut server, &bytes[200_000..], 400_000);
    server.input = None;
    for (watcher, output) in watchers.iter_mut().zip(outputs) {
        assert_eq!(watcher.wait().code(), Some(0), "{}", watcher.log());
        let got = output.join().unwrap();
        assert!(got == bytes, "{} of {} bytes; {}", got.len(), bytes.len(), watcher.log());
        assert!(!watcher.log().contains("a new broadcast"), "{}", watcher.log());
    }
}

#[test]
fn reader_that_has_enough_is_no_failure() {
    let mut server = Server::data(&[]);
    let mut watcher = server.watch(&["-o", "-"]);
    server.wait_for_fed(1);
    server.write(&noise(2, 100_000));
    let mut head = [0; 1000];
    let mut stdout = watcher.child.stdout.take().unwrap();
    stdout.read_exact(&mut head).unwrap();
    drop(stdout);
    feed(&mut server, &noise(3, 200_000), 1_000_000);
    assert_eq!(watcher.wait().code(), Some(0), "{}", watcher.log());
}

#[cfg(target_os = "linux")]
#[test]
fn full_disk_is_said() {
    let mut server = Server::data(&[]);
    let mut watcher = server.watch(&["-o", "/dev/full"]);
    server.wait_for_fed(1);
    feed(&mut server, &noise(4, 100_000), 1_000_000);
    assert_eq!(watcher.wait().code(), Some(1));
    until("the log has come", || watcher.log().contains("disk is full"));
}

#[test]
fn interrupted_watcher_says_goodbye() {
    let mut server = Server::data(&[]);
    let mut watcher = server.watch(&["-o", "-"]);
    let output = watcher.collect();
    server.wait_for_fed(1);
    let bytes = noise(5, 100_000);
    feed(&mut server, &bytes, 1_000_000);
    sleep(Duration::from_millis(300));
    watcher.signal("TERM");
    assert_eq!(watcher.wait().code(), Some(0));
    assert!(output.join().unwrap() == bytes);
    until("the coordinator knows", || server.metric("peerstream_coordinator_left_total") == 1);
}

#[test]
fn interrupted_broadcast_ends_its_stream() {
    let mut server = Server::data(&[]);
    let mut watcher = server.watch(&["-o", "-"]);
    let output = watcher.collect();
    server.wait_for_fed(1);
    let bytes = noise(6, 100_000);
    feed(&mut server, &bytes, 1_000_000);
    sleep(Duration::from_millis(300));
    server.process.signal("INT");
    assert_eq!(server.process.wait().code(), Some(0));
    assert_eq!(watcher.wait().code(), Some(0), "{}", watcher.log());
    assert!(output.join().unwrap() == bytes);
}

#[test]
fn helper_relays_and_leaves_when_stopped() {
    let mut server = Server::data(&[]);
    let mut relay = Process::start(common::command().arg("relay").arg(&server.url));
    let mut watchers: Vec<Process> = (0..3).map(|_| server.watch(&["-o", "-", "--no-relay"])).collect();
    let outputs: Vec<_> = watchers.iter_mut().map(Process::collect).collect();
    server.wait_for_fed(4);
    let bytes = noise(7, 1_000_000);
    feed(&mut server, &bytes, 1_000_000);
    server.input = None;
    for (watcher, output) in watchers.iter_mut().zip(outputs) {
        assert_eq!(watcher.wait().code(), Some(0), "{}", watcher.log());
        assert!(output.join().unwrap() == bytes);
    }
    relay.signal("INT");
    assert_eq!(relay.wait().code(), Some(0), "{}", relay.log());
}

#[test]
fn file_output_and_file_input_work() {
    let folder = tempfile::tempdir().unwrap();
    let (input, output) = (folder.path().join("in"), folder.path().join("out"));
    let bytes = noise(8, 400_000);
    fs::write(&input, &bytes).unwrap();
    let config = folder.path().join("slow.toml");
    let text =
        "[stun]\nlisten = \"127.0.0.1:0\"\n[ingest.pipe]\nuse = \"pipe\"\nconfig.rate_bytes_per_second = 100000\n";
    fs::write(&config, text).unwrap();
    let flags = ["--kind", "data", "--input", input.to_str().unwrap(), "--config", config.to_str().unwrap()];
    let server = Server::start(&flags);
    let mut watcher = server.watch(&["-o", output.to_str().unwrap()]);
    assert_eq!(watcher.wait().code(), Some(0), "{}", watcher.log());
    let got = fs::read(&output).unwrap();
    assert!(!got.is_empty() && bytes.ends_with(&got), "a watcher that joins late gets the rest");
}

#[test]
fn pipeline_in_a_shell_works() {
    let mut server = Server::data(&[]);
    let binary = env!("CARGO_BIN_EXE_peerstream");
    let script = format!("'{binary}' watch '{}' -o - | head -c 1000 | wc -c", server.url);
    let mut shell = Process::start(Command::new("sh").args(["-c", &script]));
    let output = shell.collect();
    server.wait_for_fed(1);
    feed(&mut server, &noise(9, 200_000), 1_000_000);
    assert_eq!(shell.wait().code(), Some(0));
    assert_eq!(String::from_utf8(output.join().unwrap()).unwrap().trim(), "1000");
}
