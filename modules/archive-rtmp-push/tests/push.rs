//! What is pushed plays at a server. Skipped without ffmpeg, unless `CI` or `PEERSTREAM_REQUIRE_TOOLS=1` asks for it.

#[path = "../../ingest-rtmp/tests/common/mod.rs"]
mod server;

use std::net::SocketAddr;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use peerstream_archive_rtmp_push::{Config, RtmpPush};
use peerstream_media::Cutter;
use peerstream_sdk::prelude::*;
use peerstream_sdk::protocol::crypto::{SecretKey, hash};
use peerstream_sdk::protocol::header::{Context, Core, Flags};
use peerstream_sdk::protocol::id::{Epoch, Rendition};
use peerstream_sdk::protocol::segment::{Init, InitId, Kind, PieceSize};
use peerstream_sdk::traits::archive::{ArchiveBackend as _, Header, Item, Manifest, RecordingId, Segment, StreamMeta};
use peerstream_sdk::traits::ingest::{IngestEvent, Unit};
use server::{KEY, PATIENCE, Server, config, has_tools, play};

/// A broadcast that is under way for an hour already.
const START_US: u64 = 3_600_000_000;

/// What an input made of what ffmpeg makes of these arguments: a codec header with its type, and units.
fn material(arguments: &str) -> (String, Bytes, Vec<Unit>) {
    let more = "-movflags frag_every_frame+empty_moov+default_base_moof -f mp4 pipe:1";
    let arguments = format!("-v error -nostdin {arguments} {more}");
    let output = Command::new("ffmpeg").args(arguments.split(' ')).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut cutter = Cutter::starting_at(START_US);
    cutter.push(&output.stdout).unwrap();
    cutter.finish();
    let (mut init, mut units) = (None, Vec::new());
    while let Some(event) = cutter.poll() {
        match event {
            IngestEvent::Init { bytes, mime } => init = Some((mime, bytes)),
            IngestEvent::Unit(unit) => units.push(unit),
            _ => {}
        }
    }
    let (mime, bytes) = init.unwrap();
    (mime, bytes, units)
}

const PICTURE: &str = "-f lavfi -i testsrc2=size=320x180:rate=30 -f lavfi -i sine=sample_rate=48000 -c:v libx264 \
    -preset ultrafast -tune zerolatency -pix_fmt yuv420p -g 30 -c:a aac -t 4";

fn segment(seq: u64, init: InitId, unit: &Unit) -> Item {
    let core = Core {
        seq: Seq(seq),
        kind: Kind::Media,
        flags: if unit.join_point { Flags::JOIN_POINT } else { Flags::default() },
        pts_us: unit.pts_us,
        duration_us: unit.duration_us,
        wall_us: unit.pts_us,
        init,
        payload_len: unit.payload.len() as u32,
        piece_size: PieceSize::Kib16,
        prev: [0; 32],
    };
    let key = SecretKey::from_seed(&[5; 32]);
    let context = Context { stream: key.public(), epoch: Epoch(1), rendition: Rendition(0) };
    let hashes = unit.payload.chunks(PieceSize::Kib16.bytes()).map(hash).collect();
    let (header, _) = Header::sign(&key, &context, core, hashes);
    let encoded = header.encode().into();
    Item::Segment(Segment { header: Arc::new(header), encoded, payload: unit.payload.clone() })
}

/// A push to this server that was started, and its recording.
async fn push_to(at: SocketAddr) -> (RtmpPush, RecordingId) {
    let config = Config { url: format!("rtmp://{at}/live"), key: Secret::new(KEY), ..Config::default() };
    let push = RtmpPush::build(config, &BuildContext::new("push")).unwrap();
    push.start().await.unwrap();
    let stream = SecretKey::from_seed(&[5; 32]).public().to_string();
    let meta = StreamMeta { stream, epoch: Epoch(1), kind: Kind::Media, cert: "00".into(), title: None };
    let id = push.open(&meta).await.unwrap();
    (push, id)
}

/// Offers a broadcast as it would happen; what the push has no room for is its own affair.
async fn offer(push: &RtmpPush, id: &RecordingId, (mime, bytes, units): &(String, Bytes, Vec<Unit>), first: u64) {
    let init = Init { mime: mime.clone(), title: String::new(), bytes: bytes.to_vec() };
    let encoded = init.encode();
    let init = InitId::of(&encoded);
    let _ = push.put(id, &Item::Init { id: init, encoded: encoded.into() }).await;
    let began = tokio::time::Instant::now();
    for (seq, unit) in (first..).zip(units) {
        tokio::time::sleep_until(began + Duration::from_micros(unit.pts_us.saturating_sub(START_US))).await;
        let _ = push.put(id, &segment(seq, init, unit)).await;
    }
}

async fn end(push: &RtmpPush, id: &RecordingId) {
    let manifest = Manifest { first: Seq(0), end: Seq(0), gaps: Vec::new(), ended: true, resumed: vec![] };
    push.finalize(id, &manifest).await.unwrap();
}

/// The command lines of all processes, as everybody on the machine sees them.
fn command_lines() -> String {
    let processes = std::fs::read_dir("/proc").into_iter().flatten().map_while(Result::ok);
    let lines = processes.filter_map(|process| std::fs::read(process.path().join("cmdline")).ok());
    lines.map(|line| String::from_utf8_lossy(&line).replace('\0', " ") + "\n").collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_pushed_plays_and_nobody_sees_the_key() {
    if !has_tools() {
        return;
    }
    let server = Server::start(config()).await;
    let (push, id) = push_to(server.at).await;
    let media = material(PICTURE);
    offer(&push, &id, &media, 0).await;
    server.until("it is on air", |server| server.billing.borrow().on_air.is_some()).await;
    let seen = command_lines();
    assert!(seen.contains("-fpre") || seen.contains("-/rtmp_playpath") || !cfg!(target_os = "linux"), "{seen}");
    assert!(!seen.contains(KEY), "the key is among the arguments of a process");
    assert_eq!(push.health(), Health::Ok);
    end(&push, &id).await;
    server.until_off_air().await;
    assert_eq!(server.mimes(), [media.0.as_str()]);
    let times = play(&server.played());
    assert_eq!(times[&0].len(), 120, "all pictures of four seconds");
    assert!(times[&1].len() >= 180, "{} samples of sound", times[&1].len());
    push.stop(Duration::from_secs(5)).await.unwrap();
    assert_eq!(push.counts(), (media.2.len() as u64, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_comes_later_gets_it_from_a_key_frame_on() {
    if !has_tools() {
        return;
    }
    // A port that is free, and that the server takes later.
    let at = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (push, id) = push_to(at).await;
    let media = material(PICTURE);
    offer(&push, &id, &media, 0).await;
    let told = tokio::time::timeout(PATIENCE, async {
        while push.health() == Health::Ok {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        push.health()
    });
    let Health::Degraded { why } = told.await.expect("it is told that there is no server") else { panic!() };
    assert!(why.contains("ffmpeg ended") && !why.contains(KEY), "{why}");
    let server = Server::start(peerstream_ingest_rtmp::Config { listen: at, ..config() }).await;
    let mut first = 1_000;
    while server.billing.borrow().on_air.is_none() {
        offer(&push, &id, &media, first).await;
        first += 1_000;
        assert!(first < 60_000, "{:?}", push.health());
    }
    end(&push, &id).await;
    server.until_off_air().await;
    assert!(server.units()[0].join_point);
    play(&server.played());
    push.stop(Duration::from_secs(5)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn sound_that_rtmp_does_not_carry_is_encoded_and_pictures_are_refused_with_a_word() {
    if !has_tools() {
        return;
    }
    let server = Server::start(config()).await;
    let (push, id) = push_to(server.at).await;
    let media = material("-f lavfi -i sine=sample_rate=48000 -c:a libopus -b:a 64k -t 3");
    offer(&push, &id, &media, 0).await;
    end(&push, &id).await;
    server.until("it was on air", |server| server.billing.borrow().publications == 1).await;
    server.until_off_air().await;
    assert_eq!(server.mimes(), [r#"audio/mp4; codecs="mp4a.40.2""#]);
    let seconds = server.length() as f64 / 1e6;
    assert!((2.5..3.2).contains(&seconds), "{seconds} s of 3 s");
    let (_, bytes, units) = media;
    offer(&push, &id, &(r#"video/mp4; codecs="av01.0.04M.08""#.into(), bytes, units), 1_000).await;
    let told = tokio::time::timeout(PATIENCE, async {
        while push.health() == Health::Ok {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    told.await.expect("it is told");
    assert!(format!("{:?}", push.health()).contains("RTMP carries H.264"), "{:?}", push.health());
    push.stop(Duration::from_secs(5)).await.unwrap();
}
