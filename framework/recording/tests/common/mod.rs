//! Broadcasts to record.
#![allow(dead_code)] // each test file uses its own part

use std::sync::Arc;

use peerstream_protocol::cert::EpochCert;
use peerstream_protocol::crypto::{SecretKey, hash};
use peerstream_protocol::header::{Context, Core, Flags, Header};
use peerstream_protocol::id::{Epoch, Rendition, Seq};
use peerstream_protocol::segment::{Init, InitId, Kind, PieceSize};
use peerstream_recording::{Check, Item, Manifest, Payload, Report, Segment, StreamMeta};

pub const WALL_US: u64 = 1_800_000_000_000_000;

/// A broadcast with two inits, the second from the segment in the middle on.
pub struct Broadcast {
    pub meta: StreamMeta,
    pub items: Vec<Item>,
}

pub fn broadcast(publisher: u8, epoch: u64, segments: u64) -> Broadcast {
    cut_short(publisher, epoch, segments, &[])
}

/// The same, cut short before these numbers; before one that is even nothing is known of what was there.
pub fn cut_short(publisher: u8, epoch: u64, segments: u64, resumed: &[u64]) -> Broadcast {
    let publisher = SecretKey::from_seed(&[publisher; 32]);
    let key = SecretKey::from_seed(&[epoch as u8 + 100; 32]);
    let cert = EpochCert::issue(&publisher, Epoch(epoch), key.public(), 4_000_000_000);
    let meta = StreamMeta::of(&cert, Kind::Media, Some("Friday night".into()));
    let context = Context { stream: publisher.public(), epoch: Epoch(epoch), rendition: Rendition(0) };
    let (mut items, mut init, mut prev) = (Vec::new(), InitId::NONE, [0; 32]);
    for seq in 0..segments {
        if seq == 0 || seq == segments / 2 {
            let encoded =
                Init { mime: "video/mp4".into(), title: format!("{epoch} {seq}"), bytes: vec![1; 300] }.encode();
            init = InitId::of(&encoded);
            items.push(Item::Init { id: init, encoded: encoded.into() });
        }
        let end = seq + 1 == segments;
        let flags = if end { Flags::END } else { Flags::JOIN_POINT };
        if resumed.contains(&seq) && seq % 2 == 0 {
            prev = [0; 32];
        }
        let len = if end { 0 } else { 1 + (seq as usize * 977 + epoch as usize * 13) % 9_000 };
        let payload: Vec<u8> = (0..len).map(|at| (at as u64 * 31 + seq * 7 + epoch) as u8).collect();
        let core = Core {
            seq: Seq(seq),
            kind: Kind::Media,
            flags: flags.with(if resumed.contains(&seq) { Flags::RESUMED } else { Flags::default() }),
            pts_us: seq * 200_000,
            duration_us: 200_000,
            wall_us: WALL_US + seq * 200_000,
            init,
            payload_len: len as u32,
            piece_size: PieceSize::Kib4,
            prev,
        };
        let hashes = payload.chunks(PieceSize::Kib4.bytes()).map(hash).collect();
        let (header, chain) = Header::sign(&key, &context, core, hashes);
        prev = chain;
        let encoded = header.encode().into();
        items.push(Item::Segment(Segment { header: Arc::new(header), encoded, payload: payload.into() }));
    }
    Broadcast { meta, items }
}

pub fn manifest(first: u64, end: u64, gaps: &[(u64, u64)]) -> Manifest {
    let gaps = gaps.iter().map(|(first, end)| (Seq(*first), Seq(*end))).collect();
    Manifest { first: Seq(first), end: Seq(end), gaps, ended: true, resumed: vec![] }
}

pub fn verified(meta: &StreamMeta, manifest: Option<Manifest>, items: &[Item]) -> Report {
    let mut check = Check::new(meta, manifest).expect("a broadcast that proves itself");
    for item in items {
        match item {
            Item::Init { id, encoded } => check.init(*id, encoded),
            Item::Segment(segment) => check.segment(&segment.encoded, Payload::Whole(&segment.payload)),
        }
    }
    check.finish()
}

pub fn is_segment(item: &Item) -> bool {
    matches!(item, Item::Segment(_))
}
