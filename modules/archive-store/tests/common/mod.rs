//! A broadcast to keep.
#![allow(dead_code)] // each test file uses its own part

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use peerstream_archive_store::{Config, Store};
use peerstream_sdk::prelude::*;
use peerstream_sdk::protocol::cert::EpochCert;
use peerstream_sdk::protocol::crypto::{SecretKey, hash};
use peerstream_sdk::protocol::header::{Context, Core, Flags};
use peerstream_sdk::protocol::id::{Epoch, Rendition};
use peerstream_sdk::protocol::segment::{Init, InitId, Kind, PieceSize};
use peerstream_sdk::traits::archive::{Hash, Header, Item, Segment, StreamMeta};

pub const EPOCH: Epoch = Epoch(77);

pub fn key() -> SecretKey {
    SecretKey::from_seed(&[3; 32])
}

pub fn meta() -> StreamMeta {
    let cert = EpochCert::issue(&key(), EPOCH, key().public(), 4_000_000_000);
    StreamMeta::of(&cert, Kind::Data, Some("talk".into()))
}

pub fn context() -> Context {
    Context { stream: key().public(), epoch: EPOCH, rendition: Rendition(0) }
}

pub fn segment(seq: u64, payload: Vec<u8>) -> Segment {
    chained(seq, payload, &mut [0; 32])
}

/// The segment after the one of this hash, which becomes its own.
pub fn chained(seq: u64, payload: Vec<u8>, prev: &mut Hash) -> Segment {
    let piece_size = PieceSize::for_mean_segment(payload.len());
    let core = Core {
        seq: Seq(seq),
        kind: Kind::Data,
        flags: Flags::JOIN_POINT,
        pts_us: 0,
        duration_us: 0,
        wall_us: 1_000_000 * seq,
        init: InitId::NONE,
        payload_len: payload.len() as u32,
        piece_size,
        prev: *prev,
    };
    let hashes = payload.chunks(piece_size.bytes()).map(hash).collect();
    let (header, chain) = Header::sign(&key(), &context(), core, hashes);
    *prev = chain;
    let encoded = header.encode().into();
    Segment { header: Arc::new(header), encoded, payload: payload.into() }
}

/// The payload that a test expects under a number.
pub fn payload(seq: u64) -> Vec<u8> {
    let factor = (seq * 2 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (1..1_001 + seq * 37 % 5_000).map(|n| (n.wrapping_mul(n).wrapping_mul(factor) >> 56) as u8).collect()
}

pub fn item(seq: u64) -> Item {
    Item::Segment(segment(seq, payload(seq)))
}

pub fn init() -> Item {
    let init = Init { mime: "video/mp4".into(), title: String::new(), bytes: vec![9; 700] };
    let encoded = init.encode();
    Item::Init { id: InitId::of(&encoded), encoded: encoded.into() }
}

pub async fn archive(folder: &Path) -> Store {
    let config = Config { folder: folder.to_owned(), ..Config::default() };
    let archive = Store::build(config, &BuildContext::new("store")).unwrap();
    archive.start().await.unwrap();
    archive
}

/// Items of a broadcast in order, each segment signed after the one before.
pub fn broadcast(segments: u64) -> Vec<Item> {
    let mut prev = [0; 32];
    let segments = (0..segments).map(|seq| Item::Segment(chained(seq, payload(seq), &mut prev)));
    std::iter::once(init()).chain(segments).collect()
}

/// An archive whose blocks are closed after a few segments.
pub fn config(folder: &Path) -> Config {
    Config { folder: folder.to_owned(), block_bytes: 10_000, ..Config::default() }
}

pub async fn started(config: Config) -> Store {
    let archive = Store::build(config, &BuildContext::new("store")).unwrap();
    archive.start().await.unwrap();
    archive
}

/// Waits until the backend has all of it.
pub async fn drained(archive: &Store, folder: &Path) {
    for _ in 0..2_000 {
        let waits = files(&folder.join(".spool")).into_iter().filter(|path| {
            path.extension().is_some_and(|ending| ["block", "unsent", "sending"].iter().any(|it| ending == *it))
        });
        if waits.count() == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("the spool does not drain: {:?}", archive.health());
}

/// All files below a folder.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// Whether a payload is in any file below a folder.
pub fn is_anywhere(folder: &Path, seq: u64) -> bool {
    let needle = payload(seq)[100..300].to_vec();
    // A file may go between the two looks.
    let mut contents = files(folder).into_iter().filter_map(|path| std::fs::read(path).ok());
    contents.any(|bytes| bytes.windows(200).any(|window| window == needle))
}
