//! A process that keeps segments is killed, and all that it said was kept is there.

mod common;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use common::{config, files, init, item, meta, payload, started};
use peerstream_archive_store::{Config, Store};
use peerstream_sdk::prelude::*;
use peerstream_sdk::traits::archive::{ArchiveBackend, Receipt, RecordingId};

const FOLDER: &str = "ARCHIVE_STORE_CHILD";
const FROM: &str = "ARCHIVE_STORE_FROM";

/// Not a test of its own: the process that is killed.
#[tokio::test]
async fn child() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let archive = started(config(Path::new(&folder))).await;
    let recording = archive.open(&meta()).await.unwrap();
    archive.put(&recording, &init()).await.unwrap();
    let from = std::env::var(FROM).unwrap().parse().unwrap();
    for seq in from.. {
        archive.put(&recording, &item(seq)).await.unwrap();
        println!("kept {seq}");
    }
}

/// Runs the child, kills it after so many segments, and gives the last number that it said was kept.
fn killed_after(folder: &Path, from: u64, count: u64) -> u64 {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["child", "--exact", "--nocapture"])
        .env(FOLDER, folder)
        .env(FROM, from.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let mut last = None;
    for line in lines {
        // The first line may follow the test's name without a break.
        if let Some((_, seq)) = line.split_once("kept ") {
            last = Some(seq.parse().unwrap());
            if last >= Some(from + count) {
                child.kill().unwrap();
            }
        }
    }
    child.wait().unwrap();
    last.expect("something was kept")
}

async fn check_whole(folder: &Path, upto: u64) -> RecordingId {
    let archive = started(config(folder)).await;
    let recording = archive.open(&meta()).await.unwrap();
    for seq in 0..=upto {
        assert_eq!(archive.read(&recording, Seq(seq)).await.unwrap().payload, payload(seq), "{seq}");
        assert_eq!(archive.put(&recording, &item(seq)).await.unwrap(), Receipt::AlreadyKept);
    }
    assert_eq!(archive.put(&recording, &init()).await.unwrap(), Receipt::AlreadyKept);
    archive.stop(Duration::from_secs(20)).await.unwrap();
    recording
}

#[tokio::test]
async fn what_was_kept_survives_kill_after_kill_and_the_recording_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let mut next = 0;
    for count in [20, 3, 41] {
        let last = killed_after(folder.path(), next, count);
        check_whole(folder.path(), last).await;
        next = last + 1;
    }
}

/// The block that is being written, and one's index beside it.
fn open_block(folder: &Path) -> std::path::PathBuf {
    let open = files(folder).into_iter().find(|path| path.extension().is_some_and(|ending| ending == "open"));
    open.expect("a block is being written")
}

/// An archive that was let go without an end, as by a crash: its block is still open.
async fn crashed(folder: &Path, segments: u64) -> RecordingId {
    let archive =
        Store::build(Config { folder: folder.to_owned(), ..Config::default() }, &BuildContext::new("store")).unwrap();
    let recording = archive.open(&meta()).await.unwrap();
    archive.put(&recording, &init()).await.unwrap();
    for seq in 0..segments {
        archive.put(&recording, &item(seq)).await.unwrap();
    }
    recording
}

#[tokio::test]
async fn an_entry_that_is_cut_short_anywhere_is_removed_and_no_other() {
    // The last entry: its head, its header with one hash, its payload.
    let last = 37 + 146 + 32 + payload(3).len();
    for (cut, index) in [(1, true), (last / 2, false), (last - 3, true), (last - 30, false)] {
        let folder = tempfile::tempdir().unwrap();
        let recording = crashed(folder.path(), 4).await;
        let path = open_block(folder.path());
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, &whole[..whole.len() - cut]).unwrap();
        if !index {
            std::fs::remove_file(path.with_file_name("index")).unwrap();
        }
        check_whole(folder.path(), 2).await;
        let archive = started(config(folder.path())).await;
        assert_eq!(archive.read(&recording, Seq(3)).await.unwrap_err().class, ErrorClass::NotFound);
    }
}

#[tokio::test]
async fn what_is_written_over_is_not_taken_for_whole() {
    let folder = tempfile::tempdir().unwrap();
    crashed(folder.path(), 4).await;
    let path = open_block(folder.path());
    let mut torn = std::fs::read(&path).unwrap();
    let end = torn.len();
    torn[end - 500..].fill(0);
    std::fs::write(&path, &torn).unwrap();
    let archive = started(config(folder.path())).await;
    let recording = archive.open(&meta()).await.unwrap();
    assert_eq!(archive.read(&recording, Seq(3)).await.unwrap_err().class, ErrorClass::NotFound);
    assert_eq!(archive.put(&recording, &item(3)).await.unwrap(), Receipt::Kept);
}
