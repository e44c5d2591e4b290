//! Real media: against the stub, and against a real site when `PEERSTREAM_PEERTUBE_URL`, `_USER` and `_PASSWORD` name one. Skipped
//! without ffmpeg, unless `CI` or `PEERSTREAM_REQUIRE_TOOLS=1` asks for it.

mod common;

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use common::stub::Stub;
use common::{PATIENCE, config, meta, real_media, started};
use peerstream_archive_peertube::{Config, PeerTube, Privacy};
use peerstream_sdk::prelude::*;
use peerstream_sdk::traits::archive::{ArchiveBackend as _, Item, Manifest, RecordingId, RestrictMode, Restriction};

fn has_tools() -> bool {
    let found = ["ffmpeg", "ffprobe"].iter().all(|tool| Command::new(tool).arg("-version").output().is_ok());
    let required = std::env::var("PEERSTREAM_REQUIRE_TOOLS").is_ok_and(|value| value == "1");
    assert!(found || !required && std::env::var_os("CI").is_none(), "ffmpeg and ffprobe are required: install ffmpeg");
    found
}

/// A real site, if the environment names one.
fn real(folder: &Path) -> Option<Config> {
    let variable = |name: &str| std::env::var(format!("PEERSTREAM_PEERTUBE_{name}")).ok();
    Some(Config {
        url: variable("URL")?,
        user: variable("USER")?,
        password: Secret::new(variable("PASSWORD")?),
        folder: folder.to_owned(),
        part_minutes: 1,
        chunk_bytes: 64 * 1024,
        privacy: Privacy::Unlisted,
        ..Config::default()
    })
}

async fn kept(archive: &PeerTube, epoch: u64) -> (RecordingId, Seq) {
    let id = archive.open(&meta(epoch)).await.unwrap();
    let items = real_media(epoch, 130, 5, 10);
    for item in &items {
        archive.put(&id, item).await.unwrap();
    }
    let Some(Item::Segment(last)) = items.last() else { panic!() };
    let end = last.header.core.seq.next();
    archive
        .finalize(&id, &Manifest { first: Seq(100), end, gaps: Vec::new(), ended: true, resumed: vec![] })
        .await
        .unwrap();
    (id, end)
}

async fn until_done(archive: &PeerTube) {
    let waited = tokio::time::timeout(PATIENCE, async {
        while !archive.waits().1 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    assert!(waited.await.is_ok(), "{:?}", archive.health());
    assert_eq!((archive.health(), archive.waits().0), (Health::Ok, 0));
}

/// Beginning and length of a file in seconds, and how many pictures it has; it must be decoded without a complaint.
fn probed(bytes: &[u8]) -> (f64, f64, usize) {
    let file = tempfile::NamedTempFile::with_suffix(".mp4").unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    let run = |tool: &str, arguments: &str, sink: &[&str]| {
        let output = Command::new(tool).args(arguments.split(' ')).arg(file.path()).args(sink).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{tool} complains");
        String::from_utf8(output.stdout).unwrap()
    };
    run("ffmpeg", "-v warning -xerror -i", &["-f", "null", "-"]);
    let times = run("ffprobe", "-v error -show_entries format=start_time,duration -of csv=p=0", &[]);
    let (start, length) = times.trim().split_once(',').unwrap();
    let pictures = run("ffprobe", "-v error -select_streams v -show_entries packet=pts -of csv=p=0", &[]);
    (start.parse().unwrap(), length.parse().unwrap(), pictures.lines().count())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_part_is_a_clean_file_that_begins_at_zero_with_a_key_frame() {
    if !has_tools() {
        return;
    }
    let (stub, folder) = (Stub::start(), tempfile::tempdir().unwrap());
    let archive = started(config(&stub, folder.path())).await;
    kept(&archive, 3).await;
    until_done(&archive).await;
    let site = stub.site();
    assert_eq!(site.order(0), [1, 2, 3]);
    let found: Vec<_> = [1, 2, 3].iter().map(|&part| probed(&site.video(part).unwrap().bytes)).collect();
    for ((start, length, pictures), expected) in found.iter().zip([60.0, 60.0, 10.0]) {
        assert!((0.0..0.1).contains(start) && (length - expected).abs() < 2.1, "{found:?}");
        assert!((*pictures as f64 - length * 5.0).abs() < 2.0, "{found:?}");
    }
    assert_eq!(found.iter().map(|(.., pictures)| pictures).sum::<usize>(), 650, "no picture lost and none doubled");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_site_takes_hides_shows_and_deletes_parts() {
    let folder = tempfile::tempdir().unwrap();
    let Some(config) = real(folder.path()) else { return };
    let epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let archive = started(config).await;
    archive.probe().await.unwrap();
    let (id, end) = kept(&archive, epoch).await;
    until_done(&archive).await;
    let range = |mode| Restriction { first: Seq(100), end, mode };
    for mode in [RestrictMode::Hide, RestrictMode::Show, RestrictMode::Erase] {
        // It may take longer than a call waits; then it is asked again.
        let told = tokio::time::timeout(PATIENCE, async {
            while let Err(error) = archive.restrict(&id, &range(mode)).await {
                assert_eq!(error.class, ErrorClass::Unavailable, "{error}");
            }
        });
        told.await.unwrap();
    }
    archive.stop(Duration::from_secs(5)).await.unwrap();
}
