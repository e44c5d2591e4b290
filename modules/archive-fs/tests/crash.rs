//! A process that keeps segments is killed, and all that it said was kept is there.

mod common;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use common::{archive, init, item, meta, payload};
use peerstream_sdk::prelude::*;
use peerstream_sdk::traits::archive::{ArchiveBackend, Receipt, RecordingId};

const FOLDER: &str = "ARCHIVE_FS_CHILD";
const FROM: &str = "ARCHIVE_FS_FROM";

/// Not a test of its own: the process that is killed.
#[tokio::test]
async fn child() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let archive = archive(Path::new(&folder)).await;
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
    let archive = archive(folder).await;
    let recording = archive.open(&meta()).await.unwrap();
    for seq in 0..=upto {
        assert_eq!(archive.read(&recording, Seq(seq)).await.unwrap().payload, payload(seq), "{seq}");
        assert_eq!(archive.put(&recording, &item(seq)).await.unwrap(), Receipt::AlreadyKept);
    }
    assert_eq!(archive.put(&recording, &init()).await.unwrap(), Receipt::AlreadyKept);
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

#[tokio::test]
async fn an_entry_that_is_cut_short_anywhere_is_removed_and_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let recording = {
        let archive = archive(folder.path()).await;
        let recording = archive.open(&meta()).await.unwrap();
        archive.put(&recording, &init()).await.unwrap();
        for seq in 0..4 {
            archive.put(&recording, &item(seq)).await.unwrap();
        }
        recording
    };
    let data = folder.path().join(&recording.0).join("segments.dat");
    let index = folder.path().join(&recording.0).join("segments.idx");
    let (whole, whole_index) = (std::fs::read(&data).unwrap(), std::fs::read(&index).unwrap());
    let last = 37 + payload(3).len();
    for (cut, index_kept) in [(1, true), (last / 2, false), (last - 3, true), (last + 30, false)] {
        std::fs::write(&data, &whole[..whole.len() - cut]).unwrap();
        std::fs::write(&index, &whole_index[..if index_kept { whole_index.len() } else { 70 }]).unwrap();
        check_whole(folder.path(), 2).await;
    }
    // What is written over is not taken for whole either.
    let mut torn = whole.clone();
    let end = torn.len();
    torn[end - 500..].fill(0);
    std::fs::write(&data, &torn).unwrap();
    std::fs::write(&index, []).unwrap();
    let archive = archive(folder.path()).await;
    let recording = archive.open(&meta()).await.unwrap();
    assert_eq!(archive.read(&recording, Seq(3)).await.unwrap_err().class, ErrorClass::NotFound);
    assert_eq!(archive.put(&recording, &item(3)).await.unwrap(), Receipt::Kept);
}
