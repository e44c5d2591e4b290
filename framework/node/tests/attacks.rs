//! What a node does with peers that lie, flood, or send rubbish.

#[allow(dead_code)]
mod fed;

use fed::{Fed, Maker};
use peerstream_node::{Input, Output, PlayerState};
use peerstream_protocol::control::Down;
use peerstream_protocol::frame::{Frame, Lane, PeerMessage, Resume, Want};
use peerstream_protocol::id::{NodeId, Seq, Stripes};
use peerstream_protocol::segment::PieceSize;
use peerstream_protocol::time::Micros;
use proptest::prelude::*;

const SIZE: PieceSize = PieceSize::Kib4;

fn payload(tag: u8) -> Vec<u8> {
    (0..10_000_u32).map(|i| (i as u8).wrapping_mul(7).wrapping_add(tag)).collect()
}

fn fed(children: u64) -> (Maker, Fed) {
    let mut maker = Maker::new();
    let mut fed = Fed::new(&maker.cert.clone(), children);
    let first = maker.segment(&payload(0), SIZE);
    fed.feed_segment(&first);
    assert_eq!(fed.node.status().counters.delivered, 1);
    (maker, fed)
}

fn is_closed(fed: &mut Fed, outputs: &[Output]) -> bool {
    let parent = fed.parent;
    outputs.contains(&Output::Close(parent))
}

#[test]
fn a_flipped_byte_is_neither_delivered_nor_forwarded_and_its_sender_is_cut_off() {
    let (mut maker, mut fed) = fed(1);
    let frames = maker.segment(&payload(1), SIZE);
    fed.give(Input::Frame(fed.parent, Lane::Pieces, &frames.header));
    let mut closed = false;
    for _ in 0..4 {
        let mut flipped = frames.pieces[0].clone();
        flipped[50] ^= 1;
        let outputs = fed.give(Input::Frame(fed.parent, Lane::Pieces, &flipped));
        assert!(!outputs.iter().any(|output| matches!(output, Output::Send(_, Lane::Pieces, _) | Output::Deliver(_))));
        closed |= is_closed(&mut fed, &outputs);
    }
    assert!(closed, "the sender is cut off");
    assert!(fed.node.status().counters.forged >= 2);
}

#[test]
fn a_player_that_tells_a_place_beyond_all_time_is_borne() {
    let (_, mut fed) = fed(0);
    let state = PlayerState { position_us: u64::MAX, ready: true, ..PlayerState::default() };
    fed.give(Input::Player(state));
    assert_eq!(fed.node.status().figures.lag_ms, 0, "nothing of that place is late");
}

#[test]
fn pieces_of_a_simulation_are_refused_by_real_nodes() {
    let (mut maker, mut fed) = fed(1);
    let before = fed.node.status().counters.forged;
    let scaled = maker.segment(&[1; 100], PieceSize::Scaled);
    fed.give(Input::Frame(fed.parent, Lane::Pieces, &scaled.header));
    assert_eq!(fed.node.status().counters.forged, before + 1);
}

#[test]
fn an_invented_header_is_refused() {
    let (_, mut fed) = fed(1);
    let mut other = Maker::new();
    other.segment(&payload(9), SIZE);
    let mut invented = other.segment(&payload(8), SIZE);
    let len = invented.header.len();
    invented.header[len - 1] ^= 1;
    let mut closed = false;
    for _ in 0..4 {
        let outputs = fed.give(Input::Frame(fed.parent, Lane::Pieces, &invented.header));
        closed |= is_closed(&mut fed, &outputs);
    }
    assert!(closed);
    assert_eq!(fed.node.status().counters.delivered, 1, "nothing false was delivered");
}

#[test]
fn replayed_segments_are_delivered_once() {
    let (mut maker, mut fed) = fed(0);
    let frames = maker.segment(&payload(1), SIZE);
    fed.feed_segment(&frames);
    for piece in (0..20).flat_map(|_| &frames.pieces) {
        fed.feed(Lane::Pieces, piece);
    }
    let counters = fed.node.status().counters;
    assert_eq!(counters.delivered, 2);
    assert_eq!(counters.payload_repeated, 20 * 10_000);
}

#[test]
fn endless_repeats_cut_the_sender_off() {
    let (mut maker, mut fed) = fed(0);
    let frames = maker.segment(&payload(1), SIZE);
    fed.feed_segment(&frames);
    let closed = (0..10_000).any(|_| {
        let outputs = fed.give(Input::Frame(fed.parent, Lane::Pieces, &frames.pieces[0]));
        is_closed(&mut fed, &outputs)
    });
    assert!(closed);
}

#[test]
fn data_nobody_asked_for_is_dropped_and_its_sender_cut_off() {
    let (mut maker, mut fed) = fed(1);
    let (child, frames) = (fed.children[0], maker.segment(&payload(1), SIZE));
    let closed = (0..20).any(|_| {
        let outputs = fed.give(Input::Frame(child, Lane::Pieces, &frames.header));
        outputs.contains(&Output::Close(child))
    });
    assert!(closed);
    assert_eq!(fed.node.status().counters.delivered, 1);
}

#[test]
fn a_flood_of_wants_is_refused_and_its_sender_cut_off() {
    let (_, mut fed) = fed(1);
    let child = fed.children[0];
    let want = Want { stripes: Stripes::ALL, from: Resume::Seq(Seq(0)), until: Some(Seq(1)), have: Vec::new() };
    let want = PeerMessage::Want(want).encode();
    let mut sent = 0;
    let mut closed = false;
    for _ in 0..1_000 {
        let outputs = fed.give(Input::Frame(child, Lane::Control, &want));
        sent += outputs.iter().filter(|output| matches!(output, Output::Send(..))).count();
        closed |= outputs.contains(&Output::Close(child));
    }
    assert!(closed, "the flood ends");
    assert!(sent < 500, "{sent} frames answered the flood");
}

#[test]
fn pieces_ahead_of_their_header_wait_within_a_bound() {
    let (_, mut fed) = fed(0);
    let bytes = vec![5; 4096];
    for seq in 0..1_000 {
        let piece = Frame::Piece { seq: Seq(1_000 + seq), index: 0, bytes: &bytes }.encode();
        fed.give(Input::Frame(fed.parent, Lane::Pieces, &piece));
    }
    let waiting = 1_000 - fed.node.status().counters.orphans_dropped;
    assert!((50..=64).contains(&waiting), "{waiting} pieces of 4 KiB wait in 256 KiB");
}

#[test]
fn a_peer_that_was_cut_off_cannot_come_back_at_once() {
    let (mut maker, mut fed) = fed(1);
    let (child, frames) = (fed.children[0], maker.segment(&payload(1), SIZE));
    (0..20).for_each(|_| {
        fed.give(Input::Frame(child, Lane::Pieces, &frames.header));
    });
    let offer = Down::Signal { from: NodeId(2), attempt: 11, payload: vec![1] }.encode();
    let again = fed.give(Input::Control(&offer));
    assert!(!again.iter().any(|output| matches!(output, Output::Open(..))), "{again:?}");
    fed.now += Micros::from_secs(31);
    fed.give(Input::Tick);
    let later = fed.give(Input::Control(&offer));
    assert!(later.iter().any(|output| matches!(output, Output::Open(_, NodeId(2), _))));
}

#[test]
fn headers_without_pieces_do_not_fill_the_memory() {
    let (mut maker, mut fed) = fed(0);
    let big = vec![1; 1_000_000];
    for _ in 0..40 {
        let frames = maker.segment(&big, PieceSize::Kib16);
        fed.feed(Lane::Pieces, &frames.header);
    }
    assert!(fed.node.retained_bytes() <= 17_000_000, "{} bytes are retained", fed.node.retained_bytes());
}

#[test]
fn pieces_that_overtake_their_header_are_used() {
    let (mut maker, mut fed) = fed(0);
    let frames = maker.segment(&payload(1), SIZE);
    fed.feed(Lane::Pieces, &frames.pieces[1]);
    fed.feed(Lane::Pieces, &frames.header);
    fed.feed(Lane::Pieces, &frames.pieces[0]);
    fed.feed(Lane::Pieces, &frames.pieces[2]);
    assert_eq!(fed.node.status().counters.delivered, 2);
}

#[test]
fn a_coordinator_with_another_publisher_is_not_believed() {
    let maker = Maker::new();
    let mut fed = Fed::new(&maker.cert.clone(), 0);
    let publisher = peerstream_protocol::crypto::SecretKey::from_seed(&[66; 32]);
    let cert = peerstream_protocol::cert::EpochCert::issue(&publisher, maker.cert.epoch, maker.cert.key, u64::MAX);
    let welcome = peerstream_protocol::control::Welcome {
        node: peerstream_protocol::id::NodeId(1),
        session: peerstream_protocol::id::Session([0; 16]),
        ticket: Vec::new(),
        term: peerstream_protocol::id::Term(2),
        cert,
        rendition: Default::default(),
        kind: Default::default(),
        wall_us: 0,
        ice: Vec::new(),
    };
    let message = peerstream_protocol::control::Down::Welcome(Box::new(welcome)).encode();
    let outputs = fed.give(Input::Control(&message));
    assert!(outputs.contains(&Output::WrongPublisher(publisher.public())));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_bytes_from_a_peer_or_the_coordinator_make_a_node_panic(
        messages in proptest::collection::vec((0..3_u8, proptest::collection::vec(any::<u8>(), 0..200)), 0..60)
    ) {
        let (_, mut fed) = fed(1);
        for (to, bytes) in messages {
            fed.now += Micros::from_millis(30);
            let input = match to {
                0 => Input::Control(&bytes),
                1 => Input::Frame(fed.parent, Lane::Control, &bytes),
                _ => Input::Frame(fed.children[0], Lane::Pieces, &bytes),
            };
            fed.node.handle(fed.now, input);
            while fed.node.poll().is_some() {}
        }
    }
}
