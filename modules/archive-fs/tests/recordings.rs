//! What is kept, given out, and withheld.

mod common;

use std::time::Duration;

use common::{archive, context, init, item, key, meta, payload, segment};
use peerstream_archive_fs::{Config, Fs};
use peerstream_sdk::prelude::*;
use peerstream_sdk::protocol::crypto::Strict;
use peerstream_sdk::traits::archive::{
    ArchiveBackend, Item, Manifest, Receipt, RecordingId, RestrictMode, Restriction,
};

async fn filled(archive: &Fs, seqs: impl IntoIterator<Item = u64>) -> RecordingId {
    let recording = archive.open(&meta()).await.unwrap();
    archive.put(&recording, &init()).await.unwrap();
    for seq in seqs {
        assert_eq!(archive.put(&recording, &item(seq)).await.unwrap(), Receipt::Kept);
    }
    recording
}

fn restriction(first: u64, end: u64, mode: RestrictMode) -> Restriction {
    Restriction { first: Seq(first), end: Seq(end), mode }
}

#[tokio::test]
async fn a_segment_is_given_out_as_it_was_kept_with_its_proof() {
    let folder = tempfile::tempdir().unwrap();
    let archive = archive(folder.path()).await;
    let recording = filled(&archive, 0..5).await;
    let read = archive.read(&recording, Seq(3)).await.unwrap();
    assert_eq!(read, segment(3, payload(3)));
    assert!(read.header.verify(&key().public(), &context(), &mut Strict::default()).is_some());
    assert_eq!(archive.read(&recording, Seq(9)).await.unwrap_err().class, ErrorClass::NotFound);
}

#[tokio::test]
async fn the_same_twice_is_one_and_something_else_a_conflict() {
    let folder = tempfile::tempdir().unwrap();
    let archive = archive(folder.path()).await;
    let recording = filled(&archive, [4, 2, 3]).await;
    assert_eq!(archive.open(&meta()).await.unwrap(), recording);
    for item in [item(2), init()] {
        assert_eq!(archive.put(&recording, &item).await.unwrap(), Receipt::AlreadyKept);
    }
    let other = Item::Segment(segment(2, vec![1, 2, 3]));
    assert_eq!(archive.put(&recording, &other).await.unwrap_err().class, ErrorClass::Conflict);
    assert_eq!(archive.read(&recording, Seq(2)).await.unwrap().payload, payload(2));
}

#[tokio::test]
async fn a_recording_is_listed_with_its_gaps_while_it_goes_on_and_afterwards() {
    let folder = tempfile::tempdir().unwrap();
    let archive = archive(folder.path()).await;
    let recording = filled(&archive, [2, 3, 6]).await;
    let listed = &archive.list().await.unwrap()[0];
    let gaps = vec![(Seq(4), Seq(6))];
    assert_eq!(listed.manifest, Manifest { first: Seq(2), end: Seq(7), gaps: gaps.clone(), ended: false });
    let manifest = Manifest { first: Seq(0), end: Seq(7), gaps: [vec![(Seq(0), Seq(2))], gaps].concat(), ended: true };
    for _ in 0..2 {
        archive.finalize(&recording, &manifest).await.unwrap();
    }
    let listed = &archive.list().await.unwrap()[0];
    assert_eq!((&listed.id, &listed.meta, &listed.manifest), (&recording, &meta(), &manifest));
    assert_eq!(archive.put(&recording, &item(9)).await.unwrap_err().class, ErrorClass::NotFound);
    assert_eq!(archive.read(&recording, Seq(6)).await.unwrap().payload, payload(6));
}

#[tokio::test]
async fn what_is_hidden_is_not_given_out_and_can_be_shown_again() {
    let folder = tempfile::tempdir().unwrap();
    let first = archive(folder.path()).await;
    let recording = filled(&first, 0..10).await;
    first.restrict(&recording, &restriction(3, 6, RestrictMode::Hide)).await.unwrap();
    assert_eq!(first.read(&recording, Seq(4)).await.unwrap_err().class, ErrorClass::Denied);
    assert!(first.read(&recording, Seq(6)).await.is_ok());
    first.stop(Duration::from_secs(1)).await.unwrap();
    // It holds after a restart, for a recording that nobody writes.
    let second = archive(folder.path()).await;
    assert_eq!(second.read(&recording, Seq(3)).await.unwrap_err().class, ErrorClass::Denied);
    second.restrict(&recording, &restriction(0, 4, RestrictMode::Show)).await.unwrap();
    assert!(second.read(&recording, Seq(3)).await.is_ok());
    assert_eq!(second.read(&recording, Seq(5)).await.unwrap_err().class, ErrorClass::Denied);
    assert_eq!(
        second.restrict(&recording, &restriction(4, 4, RestrictMode::Hide)).await.unwrap_err().class,
        ErrorClass::Invalid
    );
}

#[tokio::test]
async fn what_is_erased_is_gone_from_the_disk_and_the_rest_can_still_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let first = archive(folder.path()).await;
    let recording = filled(&first, 0..6).await;
    first.restrict(&recording, &restriction(2, 4, RestrictMode::Erase)).await.unwrap();
    first.stop(Duration::from_secs(1)).await.unwrap();
    let data = std::fs::read(folder.path().join(&recording.0).join("segments.dat")).unwrap();
    let holds = |seq: u64| data.windows(200).any(|window| window == &payload(seq)[100..300]);
    assert!(!holds(2) && !holds(3) && holds(1) && holds(4));
    // Also when the index is lost and all is read again.
    std::fs::remove_file(folder.path().join(&recording.0).join("segments.idx")).unwrap();
    let second = archive(folder.path()).await;
    assert_eq!(second.open(&meta()).await.unwrap(), recording);
    assert_eq!(second.read(&recording, Seq(2)).await.unwrap_err().class, ErrorClass::Denied);
    assert_eq!(second.read(&recording, Seq(5)).await.unwrap().payload, payload(5));
}

#[tokio::test]
async fn a_bound_on_a_recording_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let config = Config { folder: folder.path().join("new"), recording_bytes_max: 3_000, ..Config::default() };
    let archive = Fs::build(config, &BuildContext::new("fs")).unwrap();
    archive.start().await.unwrap();
    let recording = archive.open(&meta()).await.unwrap();
    assert_eq!(archive.put(&recording, &item(0)).await.unwrap(), Receipt::Kept);
    assert_eq!(
        archive.put(&recording, &Item::Segment(segment(1, vec![0; 9_000]))).await.unwrap_err().class,
        ErrorClass::Denied
    );
}

#[tokio::test]
async fn a_name_cannot_leave_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    let archive = archive(folder.path()).await;
    for name in ["", "..", "../x", "a/b", "/etc", ".hidden"] {
        let error = archive.read(&RecordingId(name.into()), Seq(0)).await.unwrap_err();
        assert_eq!(error.class, ErrorClass::Invalid, "{name}");
    }
}

#[tokio::test]
async fn a_recording_of_something_else_or_in_other_hands_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (archive(folder.path()).await, archive(folder.path()).await);
    filled(&one, 0..2).await;
    assert_eq!(two.open(&meta()).await.unwrap_err().class, ErrorClass::Unavailable);
    one.stop(Duration::from_secs(1)).await.unwrap();
    let other = peerstream_sdk::traits::archive::StreamMeta { cert: "beef".into(), ..meta() };
    assert_eq!(two.open(&other).await.unwrap_err().class, ErrorClass::Conflict);
    assert!(two.open(&meta()).await.is_ok());
}

#[tokio::test]
async fn stop_is_safe_without_a_start_and_twice_and_a_folder_that_cannot_be_is_named() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let config = Config { folder: file.path().join("x"), ..Config::default() };
    let archive = Fs::build(config, &BuildContext::new("fs")).unwrap();
    archive.stop(Duration::from_secs(1)).await.unwrap();
    archive.stop(Duration::from_secs(1)).await.unwrap();
    assert!(archive.probe().await.is_err());
    let error = archive.start().await.unwrap_err();
    assert!(error.message.contains(&file.path().display().to_string()), "{error}");
}
