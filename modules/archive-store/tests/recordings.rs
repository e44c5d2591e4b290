//! What is kept, given out, and withheld.

mod common;

use std::path::Path;
use std::time::Duration;

use common::{
    archive, broadcast, config, context, drained, files, init, is_anywhere, item, key, meta, payload, segment, started,
};
use peerstream_archive_store::{Config, Store};
use peerstream_recording::{Check, Payload};
use peerstream_sdk::prelude::*;
use peerstream_sdk::protocol::crypto::Strict;
use peerstream_sdk::traits::archive::{
    ArchiveBackend, Item, Manifest, Receipt, RecordingId, RestrictMode, Restriction,
};

async fn filled(archive: &Store, seqs: impl IntoIterator<Item = u64>) -> RecordingId {
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
    let recording = filled(&archive, [2, 3, 5]).await;
    assert_eq!(archive.open(&meta()).await.unwrap(), recording);
    for item in [item(2), init()] {
        assert_eq!(archive.put(&recording, &item).await.unwrap(), Receipt::AlreadyKept);
    }
    let other = Item::Segment(segment(2, vec![1, 2, 3]));
    assert_eq!(archive.put(&recording, &other).await.unwrap_err().class, ErrorClass::Conflict);
    // Numbers come in order: what was passed over is a gap for ever.
    assert_eq!(archive.put(&recording, &item(4)).await.unwrap_err().class, ErrorClass::Conflict);
    assert_eq!(archive.read(&recording, Seq(2)).await.unwrap().payload, payload(2));
}

#[tokio::test]
async fn a_recording_is_listed_with_its_gaps_while_it_goes_on_and_afterwards() {
    let folder = tempfile::tempdir().unwrap();
    let archive = archive(folder.path()).await;
    let recording = filled(&archive, [2, 3, 6]).await;
    let listed = &archive.list().await.unwrap()[0];
    let gaps = vec![(Seq(4), Seq(6))];
    assert_eq!(
        listed.manifest,
        Manifest { first: Seq(2), end: Seq(7), gaps: gaps.clone(), ended: false, resumed: vec![] }
    );
    let manifest = Manifest {
        first: Seq(0),
        end: Seq(7),
        gaps: [vec![(Seq(0), Seq(2))], gaps].concat(),
        ended: true,
        resumed: vec![],
    };
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
async fn what_is_erased_is_gone_from_spool_and_objects_and_the_rest_can_still_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let first = started(config(folder.path())).await;
    let recording = filled(&first, 0..12).await;
    first.restrict(&recording, &restriction(2, 4, RestrictMode::Erase)).await.unwrap();
    first.restrict(&recording, &restriction(10, 12, RestrictMode::Erase)).await.unwrap();
    first.stop(Duration::from_secs(20)).await.unwrap();
    for seq in 0..12 {
        assert_eq!(is_anywhere(folder.path(), seq), !matches!(seq, 2 | 3 | 10 | 11), "{seq}");
    }
    let second = started(config(folder.path())).await;
    assert_eq!(second.open(&meta()).await.unwrap(), recording);
    assert_eq!(second.read(&recording, Seq(2)).await.unwrap_err().class, ErrorClass::Denied);
    assert_eq!(second.read(&recording, Seq(5)).await.unwrap().payload, payload(5));
    assert_eq!(second.header(&recording, Seq(3)).await.unwrap(), segment(3, payload(3)).encoded);
}

#[tokio::test]
async fn closed_blocks_leave_the_spool_and_are_read_and_listed_as_before() {
    let folder = tempfile::tempdir().unwrap();
    let archive = started(config(folder.path())).await;
    let recording = filled(&archive, 0..40).await;
    drained(&archive, folder.path()).await;
    assert!(files(&folder.path().join(&recording.0).join("blocks")).len() > 6);
    for seq in 0..40 {
        assert_eq!(archive.read(&recording, Seq(seq)).await.unwrap().payload, payload(seq));
    }
    let lines = archive.index(&recording, Seq(5), 3).await.unwrap();
    assert_eq!(
        lines.iter().map(|line| (line.seq.0, line.wall_us)).collect::<Vec<_>>(),
        [(5, 5_000_000), (6, 6_000_000), (7, 7_000_000)]
    );
}

#[tokio::test]
async fn objects_alone_are_enough_to_read_and_to_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let first = started(config(folder.path())).await;
    let recording = filled(&first, 0..20).await;
    let manifest =
        Manifest { first: Seq(0), end: Seq(22), gaps: vec![(Seq(20), Seq(22))], ended: true, resumed: vec![] };
    first.finalize(&recording, &manifest).await.unwrap();
    first.restrict(&recording, &restriction(3, 4, RestrictMode::Hide)).await.unwrap();
    first.stop(Duration::from_secs(20)).await.unwrap();
    std::fs::remove_dir_all(folder.path().join(".spool")).unwrap();
    let check = async |archive: &Store| {
        let listed = archive.list().await.unwrap().remove(0);
        assert_eq!((&listed.id, &listed.manifest), (&recording, &manifest));
        assert_eq!(archive.index(&recording, Seq(0), 100).await.unwrap().len(), 20);
        assert_eq!(archive.read(&recording, Seq(19)).await.unwrap().payload, payload(19));
        assert_eq!(archive.read(&recording, Seq(3)).await.unwrap_err().class, ErrorClass::Denied);
        let Item::Init { id, encoded } = init() else { unreachable!() };
        assert_eq!(archive.init(&recording, id).await.unwrap(), encoded);
    };
    // One that was not started changes nothing.
    check(&Store::build(config(folder.path()), &BuildContext::new("store")).unwrap()).await;
    assert!(!folder.path().join(".spool").exists());
    let second = started(config(folder.path())).await;
    for _ in 0..200 {
        if folder.path().join(".spool").join(&recording.0).join("meta.json").exists() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    check(&second).await;
    assert_eq!(second.open(&meta()).await.unwrap(), recording);
    assert_eq!(second.put(&recording, &item(20)).await.unwrap(), Receipt::Kept);
}

/// A backend that is away: nothing can be written where the objects go.
fn shut(folder: &Path, recording: &RecordingId) {
    std::fs::rename(folder.join(&recording.0), folder.join(".away")).unwrap();
    std::fs::write(folder.join(&recording.0), "in the way").unwrap();
}

fn reopen(folder: &Path, recording: &RecordingId) {
    std::fs::remove_file(folder.join(&recording.0)).unwrap();
    std::fs::rename(folder.join(".away"), folder.join(&recording.0)).unwrap();
}

#[tokio::test]
async fn a_backend_that_is_away_costs_room_in_the_spool_and_nothing_is_lost_or_doubled() {
    let folder = tempfile::tempdir().unwrap();
    let archive = started(config(folder.path())).await;
    let recording = archive.open(&meta()).await.unwrap();
    drained(&archive, folder.path()).await;
    shut(folder.path(), &recording);
    filled(&archive, 0..40).await;
    for _ in 0..2_000 {
        if archive.health() != Health::Ok {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(matches!(archive.health(), Health::Degraded { .. }));
    assert_eq!(archive.read(&recording, Seq(7)).await.unwrap().payload, payload(7));
    reopen(folder.path(), &recording);
    let manifest = Manifest { first: Seq(0), end: Seq(40), gaps: vec![], ended: true, resumed: vec![] };
    archive.finalize(&recording, &manifest).await.unwrap();
    drained(&archive, folder.path()).await;
    archive.stop(Duration::from_secs(20)).await.unwrap();
    std::fs::remove_dir_all(folder.path().join(".spool")).unwrap();
    let other = Store::build(config(folder.path()), &BuildContext::new("store")).unwrap();
    let lines = other.index(&recording, Seq(0), 100).await.unwrap();
    assert_eq!(lines.iter().map(|line| line.seq.0).collect::<Vec<_>>(), (0..40).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_spool_that_is_full_refuses_and_goes_on_with_a_gap_when_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let archive = started(Config { spool_bytes_max: 20_000, ..config(folder.path()) }).await;
    let recording = archive.open(&meta()).await.unwrap();
    drained(&archive, folder.path()).await;
    shut(folder.path(), &recording);
    let mut refused = Vec::new();
    for seq in 0..40 {
        match archive.put(&recording, &item(seq)).await {
            Ok(_) => {}
            Err(error) => {
                assert_eq!(error.class, ErrorClass::Unavailable);
                refused.push(seq);
            }
        }
    }
    assert!(refused.len() > 20, "{refused:?}");
    reopen(folder.path(), &recording);
    drained(&archive, folder.path()).await;
    archive.put(&recording, &item(40)).await.unwrap();
    let kept: Vec<_> = archive.index(&recording, Seq(0), 100).await.unwrap().iter().map(|line| line.seq.0).collect();
    let manifest = archive.list().await.unwrap().remove(0).manifest;
    let named: Vec<_> = manifest.gaps.iter().flat_map(|(from, to)| from.0..to.0).collect();
    assert_eq!(named, (0..40).filter(|seq| !kept.contains(seq)).collect::<Vec<_>>());
    assert_eq!((named, manifest.end), (refused, Seq(41)));
}

#[tokio::test]
async fn the_oldest_goes_when_all_together_is_too_much() {
    let folder = tempfile::tempdir().unwrap();
    let config = Config { bytes_max: 60_000, ..config(folder.path()) };
    let archive = started(config.clone()).await;
    let recording = filled(&archive, 0..60).await;
    let manifest = Manifest { first: Seq(0), end: Seq(60), gaps: vec![], ended: true, resumed: vec![] };
    archive.finalize(&recording, &manifest).await.unwrap();
    archive.stop(Duration::from_secs(20)).await.unwrap();
    // It is looked after at the start.
    let archive = started(config).await;
    for _ in 0..2_000 {
        if !is_anywhere(folder.path(), 0) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    archive.stop(Duration::from_secs(20)).await.unwrap();
    let listed = archive.list().await.unwrap().remove(0).manifest;
    assert!(listed.first > Seq(20) && listed.end == Seq(60), "{listed:?}");
    let lines = archive.index(&recording, Seq(0), 100).await.unwrap();
    assert_eq!(lines[0].seq, listed.first);
    assert_eq!(archive.read(&recording, Seq(0)).await.unwrap_err().class, ErrorClass::NotFound);
    assert!((0..listed.first.0).all(|seq| !is_anywhere(folder.path(), seq)));
    let bytes: u64 = files(&folder.path().join(&recording.0).join("blocks"))
        .iter()
        .filter(|path| path.extension().is_some_and(|ending| ending == "dat"))
        .map(|path| path.metadata().unwrap().len())
        .sum();
    assert!(bytes > 30_000 && bytes <= 60_000, "{bytes}");
}

#[tokio::test]
async fn what_is_too_old_goes_and_the_whole_recording_with_the_last_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let archive = started(config(folder.path())).await;
    let recording = filled(&archive, 0..20).await;
    let manifest = Manifest { first: Seq(0), end: Seq(20), gaps: vec![], ended: true, resumed: vec![] };
    archive.finalize(&recording, &manifest).await.unwrap();
    archive.stop(Duration::from_secs(20)).await.unwrap();
    // Its segments say that they were made in 1970.
    let archive = started(Config { keep_hours: 1, ..config(folder.path()) }).await;
    for _ in 0..2_000 {
        if archive.list().await.unwrap().is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(archive.list().await.unwrap(), []);
    assert!(!folder.path().join(&recording.0).join("blocks").exists());
}

#[tokio::test]
async fn a_recording_of_the_archive_proves_itself() {
    let folder = tempfile::tempdir().unwrap();
    let archive = started(config(folder.path())).await;
    let recording = archive.open(&meta()).await.unwrap();
    for item in broadcast(30) {
        archive.put(&recording, &item).await.unwrap();
    }
    let mut check = Check::new(&meta(), None).unwrap();
    for line in archive.index(&recording, Seq(0), 100).await.unwrap() {
        let segment = archive.read(&recording, line.seq).await.unwrap();
        check.segment(&segment.encoded, Payload::Whole(&segment.payload));
    }
    let report = check.finish();
    assert!(report.is_clean(), "{report:?}");
    assert_eq!(report.whole, 30);
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
    let archive = Store::build(config, &BuildContext::new("store")).unwrap();
    archive.stop(Duration::from_secs(1)).await.unwrap();
    archive.stop(Duration::from_secs(1)).await.unwrap();
    assert!(archive.probe().await.is_err());
    let error = archive.start().await.unwrap_err();
    assert!(error.message.contains(&file.path().display().to_string()), "{error}");
}
