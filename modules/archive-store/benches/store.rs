//! What keeping costs, and how soon a day of a broadcast is listed and found.

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use peerstream_archive_store::{Config, Store, Sync};
use peerstream_sdk::prelude::*;
use peerstream_sdk::protocol::cert::EpochCert;
use peerstream_sdk::protocol::crypto::{SecretKey, Signature, hash};
use peerstream_sdk::protocol::header::{Core, Flags};
use peerstream_sdk::protocol::id::Epoch;
use peerstream_sdk::protocol::segment::{InitId, Kind, PieceSize};
use peerstream_sdk::traits::archive::{ArchiveBackend, Header, Item, RecordingId, Segment, StreamMeta};

/// Five a second of 2.5 Mbit/s.
const SEGMENT_BYTES: usize = 62_500;
const SEGMENTS_PER_SECOND: u64 = 5;
const DAY: u64 = 24 * 3_600 * SEGMENTS_PER_SECOND;

fn meta() -> StreamMeta {
    let key = SecretKey::from_seed(&[1; 32]);
    StreamMeta::of(&EpochCert::issue(&key, Epoch(1), key.public(), 4_000_000_000), Kind::Media, None)
}

/// A segment as it comes to an archive; that it is signed was checked before.
fn segment(seq: u64, payload: &bytes::Bytes) -> Item {
    let piece_size = PieceSize::for_mean_segment(payload.len());
    let core = Core {
        seq: Seq(seq),
        kind: Kind::Media,
        flags: Flags::JOIN_POINT,
        pts_us: seq * 200_000,
        duration_us: 200_000,
        wall_us: 1_800_000_000_000_000 + seq * 200_000,
        init: InitId::NONE,
        payload_len: payload.len() as u32,
        piece_size,
        prev: [0; 32],
    };
    let hashes = payload.chunks(piece_size.bytes()).map(hash).collect();
    let header = Header { core, hashes, signature: Signature::from_bytes(&[0; 64]) };
    let encoded = header.encode().into();
    Item::Segment(Segment { header: Arc::new(header), encoded, payload: payload.clone() })
}

async fn store(folder: &Path, sync: Sync) -> (Store, RecordingId) {
    let config = Config { folder: folder.to_owned(), sync, ..Config::default() };
    let store = Store::build(config, &BuildContext::new("bench")).unwrap();
    store.start().await.unwrap();
    let recording = store.open(&meta()).await.unwrap();
    (store, recording)
}

fn keeping(c: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let payload = bytes::Bytes::from((0..SEGMENT_BYTES).map(|at| (at * at) as u8).collect::<Vec<_>>());
    let mut group = c.benchmark_group("archive/keep");
    group.throughput(Throughput::Bytes(SEGMENT_BYTES as u64)).sample_size(20);
    for (name, sync) in [("each synced", Sync::Each), ("synced by the system", Sync::System)] {
        let folder = tempfile::tempdir().unwrap();
        let (store, recording) = runtime.block_on(store(folder.path(), sync));
        let mut seq = 0;
        group.bench_function(name, |b| {
            b.iter(|| {
                let item = segment(seq, &payload);
                runtime.block_on(store.put(&recording, &item)).unwrap();
                seq += 1;
            });
        });
        let _ = runtime.block_on(store.stop(std::time::Duration::from_secs(120)));
    }
}

fn a_day(c: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let folder = tempfile::tempdir().unwrap();
    // What matters is how many there are; their payloads would only fill the disk.
    let payload = bytes::Bytes::from_static(&[7; 16]);
    let (store, recording) = runtime.block_on(store(folder.path(), Sync::System));
    runtime.block_on(async {
        for seq in 0..DAY {
            store.put(&recording, &segment(seq, &payload)).await.unwrap();
        }
    });
    let mut group = c.benchmark_group("archive/a day");
    group.sample_size(20);
    group.bench_function("list recordings", |b| b.iter(|| runtime.block_on(store.list()).unwrap()));
    group.bench_function("list all segments", |b| {
        b.iter(|| {
            let lines = runtime.block_on(store.index(&recording, Seq(0), usize::MAX)).unwrap();
            assert_eq!(black_box(lines).len() as u64, DAY);
        });
    });
    let mut at = 0;
    group.bench_function("find and read a segment", |b| {
        b.iter(|| {
            at = (at + 7_919 * 31) % DAY;
            runtime.block_on(store.read(&recording, Seq(at))).unwrap()
        });
    });
    group.finish();
    let _ = runtime.block_on(store.stop(std::time::Duration::from_secs(120)));
}

criterion_group!(benches, keeping, a_day);
criterion_main!(benches);
