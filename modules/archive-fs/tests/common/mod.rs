//! A broadcast to keep.

use std::path::Path;
use std::sync::Arc;

use peerstream_archive_fs::{Config, Fs};
use peerstream_sdk::prelude::*;
use peerstream_sdk::protocol::crypto::{SecretKey, hash};
use peerstream_sdk::protocol::header::{Context, Core, Flags};
use peerstream_sdk::protocol::id::{Epoch, Rendition};
use peerstream_sdk::protocol::segment::{Init, InitId, Kind, PieceSize};
use peerstream_sdk::traits::archive::{Header, Item, Segment, StreamMeta};

pub const EPOCH: Epoch = Epoch(77);

pub fn key() -> SecretKey {
    SecretKey::from_seed(&[3; 32])
}

pub fn meta() -> StreamMeta {
    let stream = key().public().to_string();
    StreamMeta { stream, epoch: EPOCH, kind: Kind::Data, cert: "c0ffee".into(), title: Some("talk".into()) }
}

pub fn context() -> Context {
    Context { stream: key().public(), epoch: EPOCH, rendition: Rendition(0) }
}

pub fn segment(seq: u64, payload: Vec<u8>) -> Segment {
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
        prev: [0; 32],
    };
    let hashes = payload.chunks(piece_size.bytes()).map(hash).collect();
    let (header, _) = Header::sign(&key(), &context(), core, hashes);
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

pub async fn archive(folder: &Path) -> Fs {
    let config = Config { folder: folder.to_owned(), ..Config::default() };
    let archive = Fs::build(config, &BuildContext::new("fs")).unwrap();
    archive.start().await.unwrap();
    archive
}
