//! `--record`: the file can be played, whatever ends the process.
#![cfg(unix)]

mod common;

use std::path::Path;
use std::process::Command;

use common::{Process, Server, command, get, until};

fn has(tool: &str) -> bool {
    let there = Command::new(tool).arg("-version").output().is_ok();
    assert!(there || std::env::var_os("PEERSTREAM_REQUIRE_TOOLS").is_none(), "{tool} is not installed");
    there
}

/// Seconds of a recording; fails when a player would complain about anything in it.
fn clean_seconds(path: &Path) -> f64 {
    let played =
        Command::new("ffmpeg").args(["-v", "error", "-i"]).arg(path).args(["-f", "null", "-"]).output().unwrap();
    let said = String::from_utf8_lossy(&played.stderr);
    assert!(played.status.success() && said.is_empty(), "{}: {said}", path.display());
    let probe = Command::new("ffprobe")
        .args(["-v", "error", "-show_entries", "format=duration", "-of", "csv=p=0"])
        .arg(path)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&probe.stderr);
    assert!(probe.status.success() && said.is_empty(), "{}: {said}", path.display());
    String::from_utf8_lossy(&probe.stdout).trim().parse().unwrap_or_default()
}

fn size(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |facts| facts.len())
}

/// A demo that records to `show.mp4` in this folder.
fn demo(folder: &Path) -> Server {
    Server::demo(&["--record", folder.join("show.mp4").to_str().unwrap()])
}

#[test]
fn a_recording_is_clean_after_the_process_is_killed_and_the_next_one_has_a_number() {
    if !has("ffmpeg") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in [("show.mp4", 600_000), ("show-2.mp4", 350_000)] {
        let mut server = demo(folder.path());
        let path = folder.path().join(name);
        until("something is recorded", || size(&path) > bytes);
        server.process.child.kill().unwrap();
        server.process.child.wait().unwrap();
        let seconds = clean_seconds(&path);
        assert!(seconds > 0.4, "{name} has {seconds} s");
    }
}

#[test]
fn what_is_watched_is_recorded_too() {
    if !has("ffmpeg") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let server = demo(folder.path());
    let path = folder.path().join("watched.mp4");
    let mut watch = Process::start(command().args(["watch", &server.url, "--record"]).arg(&path));
    until("something is recorded", || size(&path) > 400_000);
    watch.child.kill().unwrap();
    watch.child.wait().unwrap();
    assert!(clean_seconds(&path) > 0.4);
}

/// Needs the right to mount something in a name space of its own.
#[test]
fn a_full_disk_is_told_and_the_broadcast_goes_on() {
    let may = Command::new("unshare").args(["-rm", "true"]).status().is_ok_and(|status| status.success());
    if !may || !has("ffmpeg") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().to_str().unwrap();
    let mount = "mount -t tmpfs -o size=400k none \"$0\" && exec \"$@\"";
    let mut wrapped = Command::new("unshare");
    wrapped.args(["-rm", "sh", "-c", mount, place]).env("NO_COLOR", "1").arg(command().get_program());
    let server = Server::demo_by(wrapped, &["--record", &format!("{place}/show.mp4")]);
    until("it is told", || server.process.log().contains("the disk is full; the broadcast goes on"));
    let seen = format!("/proc/{}/root{place}/show.mp4", server.process.child.id());
    let kept = clean_seconds(Path::new(&seen));
    assert!(kept > 0.1, "{kept} s are kept");
    assert!(get(&format!("{}api/v1/stream", server.url)).1.contains("\"live\""));
    assert_eq!(server.process.log().matches("the disk is full").count(), 1);
}
