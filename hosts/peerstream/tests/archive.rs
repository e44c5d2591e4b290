//! The archive `store` under a real host: killed, changed by hand, out of room; and what `peerstream archive` says of it.
#![cfg(unix)]

mod common;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::thread::sleep;
use std::time::{Duration, Instant};

use common::{Server, command, get, until};

fn has(tool: &str) -> bool {
    let there = Command::new(tool).arg("-version").output().is_ok();
    assert!(there || std::env::var_os("PEERSTREAM_REQUIRE_TOOLS").is_none(), "{tool} is not installed");
    there
}

/// Flags of a host that keeps what it broadcasts here.
fn flags(folder: &Path) -> Vec<String> {
    let folder = format!("archive.main.config.folder=\"{}\"", folder.display());
    let set = ["archive.main.use=\"store\"", &folder, "archive.main.config.block_seconds=1"];
    set.into_iter().flat_map(|set| ["--set".to_owned(), set.to_owned()]).collect()
}

fn demo(folder: &Path) -> Server {
    let flags = flags(folder);
    Server::demo(&flags.iter().map(String::as_str).collect::<Vec<_>>())
}

fn archive(what: &str, folder: &Path, more: &[&str]) -> Output {
    command().args(["archive", what]).args(more).arg("--folder").arg(folder).output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// All files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let paths = entries.flatten().map(|entry| entry.path());
    paths.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

fn bytes(folder: &Path) -> u64 {
    files(folder).iter().filter_map(|path| path.metadata().ok()).map(|facts| facts.len()).sum()
}

/// Seconds of a file; fails when a player would complain about anything in it.
fn clean_seconds(path: &Path) -> f64 {
    let probe = Command::new("ffprobe")
        .args(["-v", "error", "-show_entries", "format=duration", "-of", "csv=p=0"])
        .arg(path)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&probe.stderr);
    assert!(probe.status.success() && said.is_empty(), "{}: {said}", path.display());
    let played =
        Command::new("ffmpeg").args(["-v", "error", "-i"]).arg(path).args(["-f", "null", "-"]).output().unwrap();
    let said = String::from_utf8_lossy(&played.stderr);
    assert!(played.status.success() && said.is_empty(), "{}: {said}", path.display());
    String::from_utf8_lossy(&probe.stdout).trim().parse().unwrap_or_default()
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// The number of the segment with which a broadcast goes on, by the host's own word.
fn goes_on_with(server: &Server) -> u64 {
    let mut found = None;
    until("the host says that the broadcast goes on", || {
        let log = server.process.log();
        let line = log.lines().find(|line| line.contains("the broadcast goes on that was cut short"));
        found = line.and_then(|line| line.split_once("segment=")?.1.split(' ').next()?.parse().ok());
        found.is_some()
    });
    found.unwrap()
}

fn listed(folder: &Path) -> Vec<serde_json::Value> {
    let listed = archive("ls", folder, &["--json"]);
    serde_json::from_slice(&listed.stdout).unwrap()
}

/// `PEERSTREAM_KILLS=50 PEERSTREAM_KILL_SECONDS=36` makes half an hour of it; `PEERSTREAM_KILLED` names a folder where the key, the
/// recording and the export stay.
#[test]
fn a_host_that_is_killed_again_and_again_goes_on_with_one_recording_that_proves_itself_and_plays() {
    if !has("ffmpeg") {
        return;
    }
    let (kills, seconds) = (number("PEERSTREAM_KILLS", 5), number("PEERSTREAM_KILL_SECONDS", 0));
    let kept = std::env::var_os("PEERSTREAM_KILLED").map(PathBuf::from);
    let temporary = tempfile::tempdir().unwrap();
    let folder = kept.as_deref().unwrap_or(temporary.path());
    let (recordings, key, file) = (folder.join("recordings"), folder.join("key"), folder.join("show.mp4"));
    let flags = flags(&recordings);
    let flags: Vec<_> = flags.iter().map(String::as_str).collect();
    let mut told = Vec::new();
    for kill in 0..=kills {
        let (before, start) = (bytes(&recordings), Instant::now());
        let mut server = Server::demo_with(&key, &flags);
        if kill > 0 {
            told.push(goes_on_with(&server));
        }
        let enough = 300_000 + kill % 5 * 90_000;
        until("something is kept", || bytes(&recordings) > before + enough);
        sleep(Duration::from_secs(seconds).saturating_sub(start.elapsed()));
        if kill < kills {
            server.process.child.kill().unwrap();
        } else {
            server.process.signal("INT");
        }
        server.process.wait();
    }
    let listed_all = listed(&recordings);
    let [it] = &listed_all[..] else { panic!("{} recordings", listed_all.len()) };
    let numbers = |it: &serde_json::Value| it.as_u64().unwrap();
    let resumed: Vec<_> = it["manifest"]["resumed"].as_array().unwrap().iter().map(numbers).collect();
    assert_eq!(resumed, told);
    assert_eq!(it["manifest"]["ended"], true);
    let gaps = it["manifest"]["gaps"].as_array().unwrap();
    assert!(gaps.iter().all(|gap| told.contains(&numbers(&gap[1]))), "{gaps:?} {told:?}");
    // How many hangs on how far behind the archive is on a busy machine.
    let lost: u64 = gaps.iter().map(|gap| numbers(&gap[1]) - numbers(&gap[0])).sum();
    let verified = archive("verify", &recordings, &[]);
    let verdict = said(&verified);
    assert!(verified.status.success() && verdict.contains("its end is signed"), "{verdict}");
    assert_eq!(verdict.matches("after its host was cut short").count() as u64, kills, "{verdict}");
    assert_eq!(verdict.matches("; the host was cut short there").count(), gaps.len(), "{verdict}");
    let exported = archive("export", &recordings, &[file.to_str().unwrap()]);
    assert!(exported.status.success(), "{}", said(&exported));
    assert!(!folder.join("show-2.mp4").exists(), "one file");
    let played = clean_seconds(&file);
    eprintln!("{kills} kills, {lost} segments lost in {} gaps, {played:.1} s exported", gaps.len());
    assert!(played > 0.4 * kills as f64, "{played} s");
    // It has ended: what begins now is another one.
    let server = Server::demo_with(&key, &flags);
    until("another recording begins", || listed(&recordings).len() == 2);
    assert!(!server.process.log().contains("goes on"), "{}", server.process.log());
}

/// A recording that was ended as it should, and the folder it is in.
fn recorded(folder: &Path) {
    let mut server = demo(folder);
    until("something is kept", || bytes(folder) > 700_000);
    server.process.signal("INT");
    server.process.wait();
}

#[test]
fn a_byte_that_somebody_changes_is_named_by_time_and_number() {
    let folder = tempfile::tempdir().unwrap();
    recorded(folder.path());
    let clean = archive("verify", folder.path(), &[]);
    assert!(clean.status.success() && said(&clean).contains("its end is signed"), "{}", said(&clean));
    let mut blocks = files(folder.path());
    blocks.retain(|path| path.extension().is_some_and(|ending| ending == "dat"));
    blocks.sort();
    let block = &blocks[blocks.len() / 2];
    let whole = std::fs::read(block).unwrap();
    let mut changed = whole.clone();
    changed[whole.len() / 2] ^= 1;
    std::fs::write(block, &changed).unwrap();
    let verdict = archive("verify", folder.path(), &[]);
    assert_eq!(verdict.status.code(), Some(1), "{}", said(&verdict));
    assert!(said(&verdict).contains(" UTC: segment ") && said(&verdict).contains("altered"), "{}", said(&verdict));
    std::fs::remove_file(block).unwrap();
    let verdict = archive("verify", folder.path(), &[]);
    assert_eq!(verdict.status.code(), Some(1));
    assert!(said(&verdict).contains("missing up to segment"), "{}", said(&verdict));
}

#[test]
fn a_part_of_a_recording_is_exported_and_nonsense_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let recordings = folder.path().join("recordings");
    recorded(&recordings);
    let file = folder.path().join("part.mp4");
    let file = file.to_str().unwrap();
    let exported = archive("export", &recordings, &[file, "--from", "0.5"]);
    assert!(exported.status.success() && said(&exported).contains(file), "{}", said(&exported));
    if has("ffmpeg") {
        assert!(clean_seconds(Path::new(file)) > 0.1);
    }
    for (more, words) in
        [(&["--from", "3", "--to", "2"][..], "no range"), (&["--recording", "nothing"][..], "no recording is called")]
    {
        let refused = archive("export", &recordings, &[&[file], more].concat());
        assert_eq!(refused.status.code(), Some(2), "{}", said(&refused));
        assert!(said(&refused).contains(words), "{}", said(&refused));
    }
    let nowhere = archive("ls", &folder.path().join("nowhere"), &[]);
    assert!(nowhere.status.code() == Some(2) && said(&nowhere).contains("is no folder"));
}

/// Needs the right to mount something in a name space of its own.
#[test]
fn a_full_disk_costs_segments_that_are_named_and_the_recording_goes_on_when_there_is_room() {
    let may = Command::new("unshare").args(["-rm", "true"]).status().is_ok_and(|status| status.success());
    if !may {
        eprintln!("skipped: nothing may be mounted here");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().to_str().unwrap();
    let mount = "mount -t tmpfs -o size=3m none \"$0\" && head -c 2200000 /dev/zero > \"$0/filler\" && exec \"$@\"";
    let mut wrapped = Command::new("unshare");
    wrapped.args(["-rm", "sh", "-c", mount, place]).env("NO_COLOR", "1").arg(command().get_program());
    let mut flags = flags(&folder.path().join("recordings"));
    for set in ["archive.main.retry.calls_max=1", "archive.main.config.block_bytes=100000"] {
        flags.extend(["--set".to_owned(), set.to_owned()]);
    }
    let mut server = Server::demo_by(wrapped, &flags.iter().map(String::as_str).collect::<Vec<_>>());
    let figure = |server: &Server, what: &str| {
        let text = get(&format!("{}metrics", server.url)).1;
        let lines = text.lines().filter(|line| {
            line.starts_with("peerstream_plugin_items_total{") && line.contains("name=\"main\"") && line.contains(what)
        });
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum::<f64>() as u64
    };
    until("segments are dropped", || figure(&server, "what=\"dropped\"") > 3);
    assert!(get(&format!("{}api/v1/stream", server.url)).1.contains("\"live\""));
    let seen = PathBuf::from(format!("/proc/{}/root{place}", server.process.child.id()));
    std::fs::remove_file(seen.join("filler")).unwrap();
    let kept = figure(&server, "what=\"kept\"");
    until("segments are kept again", || figure(&server, "what=\"kept\"") > kept + 5);
    let dropped = figure(&server, "what=\"dropped\"");
    // It stands still while its files are copied out of its name space.
    server.process.signal("STOP");
    let copy = tempfile::tempdir().unwrap();
    let copied = Command::new("cp").arg("-r").arg(seen.join("recordings")).arg(copy.path()).status().unwrap();
    assert!(copied.success());
    server.process.signal("CONT");
    let recordings = copy.path().join("recordings");
    let verdict = archive("verify", &recordings, &[]);
    assert!(verdict.status.success(), "{}", said(&verdict));
    assert!(said(&verdict).contains("gap, as the manifest says"), "{}", said(&verdict));
    let listed = archive("ls", &recordings, &["--json"]);
    let listed: serde_json::Value = serde_json::from_slice(&listed.stdout).unwrap();
    let gaps = listed[0]["manifest"]["gaps"].as_array().unwrap();
    let named: u64 = gaps.iter().map(|gap| gap[1].as_u64().unwrap() - gap[0].as_u64().unwrap()).sum();
    assert_eq!(named, dropped);
    server.process.signal("INT");
    server.process.wait();
}
