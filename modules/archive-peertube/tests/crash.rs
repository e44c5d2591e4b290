//! A process that is killed at any moment: what it had kept becomes videos, once.

mod common;

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use common::stub::Stub;
use common::{Broadcast, config, started, until, until_idle};
use peerstream_archive_peertube::Config;
use peerstream_sdk::traits::archive::ArchiveBackend as _;

const FOLDER: &str = "ARCHIVE_PEERTUBE_CHILD";
const URL: &str = "ARCHIVE_PEERTUBE_URL";
const FROM: &str = "ARCHIVE_PEERTUBE_FROM";
const UPTO: &str = "ARCHIVE_PEERTUBE_UPTO";

/// Not a test of its own: the process that is killed.
#[tokio::test(flavor = "multi_thread")]
async fn child() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let number = |name: &str| std::env::var(name).unwrap().parse::<u64>().unwrap();
    let stub = Stub::start();
    let config = Config {
        url: std::env::var(URL).unwrap(),
        upload_bytes_per_second: 200_000,
        ..config(&stub, Path::new(&folder))
    };
    let archive = started(config).await;
    let broadcast = Broadcast::open(&archive, 3).await;
    for seq in number(FROM)..number(UPTO) {
        archive.put(&broadcast.id, &broadcast.segment(seq)).await.unwrap();
        println!("kept {seq}");
    }
    broadcast.end(&archive).await;
    tokio::time::sleep(common::PATIENCE).await;
}

fn child_of(stub_url: &str, folder: &Path, from: u64, upto: u64) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["child", "--exact", "--nocapture"]).stdout(Stdio::piped());
    command.env(FOLDER, folder).env(URL, stub_url).env(FROM, from.to_string()).env(UPTO, upto.to_string());
    command.spawn().unwrap()
}

fn killed(mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_was_killed_within_a_chunk_is_gone_on_with() {
    let (stub, folder) = (Stub::start(), tempfile::tempdir().unwrap());
    for round in 1..=2 {
        let child = child_of(&stub.url, folder.path(), if round == 1 { 0 } else { 6 }, 6);
        let chunks = round * 2;
        until("chunks are there", &stub, |site| site.count("PUT /videos/upload-resumable 308") >= chunks).await;
        // A chunk takes a third of a second.
        tokio::time::sleep(Duration::from_millis(100)).await;
        killed(child);
    }
    assert_eq!(stub.site().videos.len(), 0);
    let archive = started(config(&stub, folder.path())).await;
    until_idle(&archive, &stub).await;
    let broadcast = Broadcast::open(&archive, 3).await;
    let site = stub.site();
    assert!(site.videos.len() == 1 && site.videos[0].bytes == broadcast.file(0..6));
    assert_eq!(site.count("POST /videos/upload-resumable"), 1, "it was announced once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_that_was_being_written_is_whole_up_to_its_last_segment() {
    let (stub, folder) = (Stub::start(), tempfile::tempdir().unwrap());
    let mut child = child_of(&stub.url, folder.path(), 0, 1_000_000);
    let mut last = 0;
    for line in BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok) {
        // The first line may follow the test's name without a break.
        let Some((_, seq)) = line.split_once("kept ") else { continue };
        last = seq.parse::<u64>().unwrap();
        if last == 9 {
            child.kill().unwrap();
        }
    }
    child.wait().unwrap();
    let archive = started(config(&stub, folder.path())).await;
    let broadcast = Broadcast::open(&archive, 3).await;
    // One more may have been kept than was said.
    archive.put(&broadcast.id, &broadcast.segment(last + 1)).await.unwrap();
    broadcast.put(&archive, last + 2..last + 20).await;
    broadcast.end(&archive).await;
    until_idle(&archive, &stub).await;
    let site = stub.site();
    let all: Vec<u8> = site.videos.iter().flat_map(|video| video.bytes[b"header".len()..].to_vec()).collect();
    assert!(all == broadcast.file(0..last + 20)[b"header".len()..], "{} videos", site.videos.len());
}
