//! A broadcast, a site, and an archive between them.
#![allow(dead_code)]

pub mod stub;

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use peerstream_archive_peertube::{Config, PeerTube};
use peerstream_media::Cutter;
use peerstream_sdk::prelude::*;
use peerstream_sdk::protocol::crypto::{SecretKey, hash};
use peerstream_sdk::protocol::header::{Context, Core, Flags};
use peerstream_sdk::protocol::id::{Epoch, Rendition};
use peerstream_sdk::protocol::segment::{Init, InitId, Kind, PieceSize};
use peerstream_sdk::traits::archive::{
    ArchiveBackend as _, Header, Item, Manifest, Receipt, RecordingId, Segment, StreamMeta,
};
use peerstream_sdk::traits::ingest::IngestEvent;
use stub::{Site, Stub};

/// Nothing that is waited for takes longer, however busy the machine is.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// A config for tests against the stub: short pauses, small chunks.
pub fn config(stub: &Stub, folder: &Path) -> Config {
    Config {
        url: stub.url.clone(),
        user: "club".into(),
        password: Secret::new("geheim"),
        folder: folder.to_owned(),
        part_minutes: 1,
        chunk_bytes: 64 * 1024,
        pause_first_ms: 5,
        pause_max_ms: 40,
        ..Config::default()
    }
}

/// An archive that was started.
pub async fn started(config: Config) -> PeerTube {
    let archive = PeerTube::build(config, &BuildContext::new("videos")).unwrap();
    archive.start().await.unwrap();
    archive
}

/// A broadcast of ten-second segments, six of which are a part.
pub struct Broadcast {
    pub id: RecordingId,
    epoch: u64,
    init: InitId,
    /// Bytes of a segment.
    pub segment_bytes: usize,
}

impl Broadcast {
    pub async fn open(archive: &PeerTube, epoch: u64) -> Self {
        let id = archive.open(&meta(epoch)).await.unwrap();
        let mut broadcast = Self { id, epoch, init: InitId::NONE, segment_bytes: 40_000 };
        broadcast.title(archive, "").await;
        broadcast
    }

    /// Something else is played from now on.
    pub async fn title(&mut self, archive: &PeerTube, title: &str) {
        let init = Init { mime: "video/mp4".into(), title: title.into(), bytes: b"header".into() };
        let encoded = init.encode();
        self.init = InitId::of(&encoded);
        archive.put(&self.id, &Item::Init { id: self.init, encoded: encoded.into() }).await.unwrap();
    }

    pub fn segment(&self, seq: u64) -> Item {
        segment(self.epoch, seq, self.init, payload(seq, self.segment_bytes))
    }

    /// A segment with which no decoder can begin.
    pub fn delta(&self, seq: u64) -> Item {
        let time = (seq * 10_000_000, 10_000_000);
        segment_of(self.epoch, seq, self.init, payload(seq, self.segment_bytes), time, false)
    }

    /// Keeps these segments.
    pub async fn put(&self, archive: &PeerTube, seqs: impl IntoIterator<Item = u64>) {
        for seq in seqs {
            assert_eq!(archive.put(&self.id, &self.segment(seq)).await.unwrap(), Receipt::Kept, "{seq}");
        }
    }

    pub async fn end(&self, archive: &PeerTube) {
        let manifest = Manifest { first: Seq(0), end: Seq(0), gaps: Vec::new(), ended: true, resumed: vec![] };
        archive.finalize(&self.id, &manifest).await.unwrap();
    }

    /// What the video of these segments must be.
    pub fn file(&self, seqs: impl IntoIterator<Item = u64>) -> Vec<u8> {
        let media: Vec<u8> = seqs.into_iter().flat_map(|seq| payload(seq, self.segment_bytes)).collect();
        [b"header".to_vec(), media].concat()
    }
}

pub fn key() -> SecretKey {
    SecretKey::from_seed(&[5; 32])
}

pub fn meta(epoch: u64) -> StreamMeta {
    let stream = key().public().to_string();
    StreamMeta {
        stream,
        epoch: Epoch(epoch),
        kind: Kind::Media,
        cert: "c0ffee".into(),
        title: Some("Friday night".into()),
    }
}

/// Bytes that are nobody else's.
pub fn payload(seq: u64, len: usize) -> Vec<u8> {
    let factor = (seq * 2 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (1..=len as u64).map(|n| (n.wrapping_mul(n).wrapping_mul(factor) >> 56) as u8).collect()
}

/// A segment of ten seconds.
pub fn segment(epoch: u64, seq: u64, init: InitId, payload: Vec<u8>) -> Item {
    segment_of(epoch, seq, init, payload, (seq * 10_000_000, 10_000_000), true)
}

/// A segment with this time and length, in microseconds.
pub fn segment_of(
    epoch: u64,
    seq: u64,
    init: InitId,
    payload: Vec<u8>,
    (pts_us, duration_us): (u64, u32),
    joins: bool,
) -> Item {
    let piece_size = PieceSize::for_mean_segment(payload.len());
    let core = Core {
        seq: Seq(seq),
        kind: Kind::Media,
        flags: if joins { Flags::JOIN_POINT } else { Flags::default() },
        pts_us,
        duration_us,
        wall_us: 1_700_000_000_000_000 + pts_us,
        init,
        payload_len: payload.len() as u32,
        piece_size,
        prev: [0; 32],
    };
    let hashes = payload.chunks(piece_size.bytes()).map(hash).collect();
    let context = Context { stream: key().public(), epoch: Epoch(epoch), rendition: Rendition(0) };
    let (header, _) = Header::sign(&key(), &context, core, hashes);
    let encoded = header.encode().into();
    Item::Segment(Segment { header: Arc::new(header), encoded, payload: payload.into() })
}

/// The broadcast is under way for an hour when the recording begins.
const START_US: u64 = 3_600_000_000;

/// A codec header and segments of small pictures with sound: so many seconds, pictures a second, and pictures from key frame to
/// key frame. Needs ffmpeg.
pub fn real_media(epoch: u64, seconds: u32, rate: u32, group: u32) -> Vec<Item> {
    let arguments = format!(
        "-v error -nostdin -f lavfi -i testsrc2=size=64x36:rate={rate} -f lavfi -i sine=sample_rate=48000 -c:v libx264 \
         -preset ultrafast -tune zerolatency -pix_fmt yuv420p -g {group} -c:a aac -b:a 32k -t {seconds} -movflags \
         frag_every_frame+empty_moov+default_base_moof -f mp4 pipe:1"
    );
    let output = Command::new("ffmpeg").args(arguments.split_whitespace()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut cutter = Cutter::starting_at(START_US);
    cutter.push(&output.stdout).unwrap();
    cutter.finish();
    let (mut items, mut init, mut seq) = (Vec::new(), InitId::NONE, 100);
    while let Some(event) = cutter.poll() {
        match event {
            IngestEvent::Init { bytes, mime } => {
                let encoded = Init { mime, title: String::new(), bytes: bytes.to_vec() }.encode();
                init = InitId::of(&encoded);
                items.push(Item::Init { id: init, encoded: encoded.into() });
            }
            IngestEvent::Unit(unit) => {
                let time = (unit.pts_us, unit.duration_us);
                items.push(segment_of(epoch, seq, init, unit.payload.to_vec(), time, unit.join_point));
                seq += 1;
            }
            _ => {}
        }
    }
    items
}

/// Waits until something holds.
pub async fn until(what: &str, stub: &Stub, holds: impl Fn(&Site) -> bool) {
    let waited = tokio::time::timeout(PATIENCE, async {
        while !holds(&stub.site()) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    let waited = waited.await;
    assert!(waited.is_ok(), "waited in vain until {what}: {:#?}", stub.site().log);
}

/// Waits until the archive has nothing left that it could do.
pub async fn until_idle(archive: &PeerTube, stub: &Stub) {
    let waited = tokio::time::timeout(PATIENCE, async {
        while !archive.waits().1 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    let waited = waited.await;
    assert!(waited.is_ok(), "it is never done: {:?} {:#?}", archive.health(), stub.site().log);
}

/// Waits until it says that something is wrong which has this word.
pub async fn until_trouble(archive: &PeerTube, word: &str) -> String {
    let waited = tokio::time::timeout(PATIENCE, async {
        loop {
            match archive.health() {
                Health::Degraded { why } if why.contains(word) => return why,
                _ => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        }
    });
    waited.await.unwrap_or_else(|_| panic!("`{word}` is never told: {:?}", archive.health()))
}
