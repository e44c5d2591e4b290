//! What stands in the file.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use peerstream_sdk::prelude::*;
use peerstream_sdk::traits::telemetry::{Batch, Event, Record, TelemetrySink, What};
use peerstream_telemetry_jsonl::{Config, Jsonl};

fn batch(names: std::ops::Range<u32>) -> Batch {
    let record = |n: u32| {
        let event = Event { name: format!("e{n}"), node: Some("n5".into()), fields: BTreeMap::new() };
        Record { at_us: n.into(), what: What::Event(event) }
    };
    names.map(record).collect()
}

async fn sink(path: &Path, bytes_max: u64) -> Jsonl {
    let config = Config { path: path.to_owned(), bytes_max, old_files_max: 2, ..Config::default() };
    let sink = Jsonl::build(config, &BuildContext::new("jsonl")).unwrap();
    sink.start().await.unwrap();
    sink
}

fn names(path: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(path).unwrap();
    let name = |line: &str| {
        let record: Record = serde_json::from_str(line).unwrap();
        let What::Event(event) = record.what else { panic!("an event") };
        event.name
    };
    text.lines().map(name).collect()
}

#[tokio::test]
async fn each_record_is_a_line_that_can_be_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.jsonl");
    let sink = sink(&path, 1_000_000).await;
    assert_eq!(sink.write(batch(0..3)).await.unwrap().accepted, 3);
    sink.flush().await.unwrap();
    assert_eq!(names(&path), ["e0", "e1", "e2"]);
    for _ in 0..2 {
        sink.stop(Duration::from_secs(1)).await.unwrap();
    }
    assert_eq!(sink.write(batch(3..4)).await.unwrap_err().class, ErrorClass::Unavailable);
}

#[tokio::test]
async fn the_space_it_takes_is_bounded_and_the_latest_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.jsonl");
    let sink = sink(&path, 4_096).await;
    for n in 0..200 {
        sink.write(batch(n * 4..n * 4 + 4)).await.unwrap();
    }
    let files: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files.len(), 3);
    assert!(files.iter().all(|file| std::fs::metadata(file).unwrap().len() <= 4_096));
    assert_eq!(names(&path).last().unwrap(), "e799");
    let (old, older) = (names(&path.with_extension("jsonl.1")), names(&path.with_extension("jsonl.2")));
    let number = |name: &String| name[1..].parse::<u32>().unwrap();
    assert_eq!(number(&names(&path)[0]), number(old.last().unwrap()) + 1);
    assert_eq!(number(&old[0]), number(older.last().unwrap()) + 1);
}

#[tokio::test]
async fn a_line_that_a_crash_cut_short_is_removed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.jsonl");
    sink(&path, 1_000_000).await.write(batch(0..2)).await.unwrap();
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, [&whole[..], b"{\"at_us\":7,\"ev"].concat()).unwrap();
    sink(&path, 1_000_000).await.write(batch(2..3)).await.unwrap();
    assert_eq!(names(&path), ["e0", "e1", "e2"]);
}

#[tokio::test]
async fn a_folder_that_is_not_there_is_named() {
    let config = Config { path: "/nowhere/at/all.jsonl".into(), ..Config::default() };
    let sink = Jsonl::build(config, &BuildContext::new("jsonl")).unwrap();
    let error = sink.start().await.unwrap_err();
    assert!(error.class == ErrorClass::NotFound && error.message.contains("/nowhere/at/all.jsonl"), "{error}");
    assert!(sink.probe().await.is_err());
    sink.stop(Duration::from_secs(1)).await.unwrap();
}
