//! The lane of pieces keeps no order: what a node makes of headers, inits and pieces that overtake each other, and in which
//! order it sends them itself.

#[allow(dead_code)]
mod fed;

use fed::{Fed, Maker};
use peerstream_node::{Input, Output, Payload};
use peerstream_protocol::frame::{Frame, Lane, PeerMessage};
use peerstream_protocol::header::Flags;
use peerstream_protocol::segment::{Init, InitId, PieceSize};
use peerstream_protocol::time::Micros;

const SIZE: PieceSize = PieceSize::Kib4;

fn fed(children: u64) -> (Maker, Fed) {
    let maker = Maker::new();
    let cert = maker.cert.clone();
    (maker, Fed::new(&cert, children))
}

/// An init: its id and its frame.
fn init() -> (InitId, Vec<u8>) {
    let encoded = Init { mime: "video/mp4".to_owned(), title: String::new(), bytes: vec![5; 700] }.encode();
    (InitId::of(&encoded), PeerMessage::Init(encoded).encode())
}

fn payload(seed: u8) -> Vec<u8> {
    (0..10_000_u32).map(|at| at as u8 ^ seed).collect()
}

fn delivered(fed: &Fed) -> u64 {
    fed.node.status().counters.delivered
}

#[test]
fn a_relay_passes_each_piece_on_behind_its_header_and_its_init_on_one_lane() {
    let (mut maker, mut fed) = fed(1);
    let (id, init) = init();
    maker.init = id;
    let frames = maker.segment(&payload(1), SIZE);
    let mut sent = Vec::new();
    for frame in [&init, &frames.header].into_iter().chain(&frames.pieces) {
        for output in fed.give(Input::Frame(fed.parent, Lane::Pieces, frame)) {
            match output {
                Output::Send(_, lane, Payload::Piece { index, .. }) => sent.push((lane, format!("piece {index}"))),
                Output::Send(_, lane, Payload::Bytes(bytes)) => match Frame::decode(&bytes) {
                    Ok(Frame::Header(_)) => sent.push((lane, "header".to_owned())),
                    Ok(Frame::Message(PeerMessage::Init(_))) => sent.push((lane, "init".to_owned())),
                    _ => {}
                },
                _ => {}
            }
        }
    }
    let expected = ["init", "header", "piece 0", "piece 1", "piece 2"];
    assert_eq!(sent, expected.map(|what| (Lane::Pieces, what.to_owned())));
}

#[test]
fn a_header_that_overtakes_its_init_is_used_when_that_comes() {
    let (mut maker, mut fed) = fed(0);
    let (id, init) = init();
    maker.init = id;
    let segments = [maker.segment(&payload(1), SIZE), maker.segment(&payload(2), SIZE)];
    for frames in &segments {
        fed.feed_segment(frames);
    }
    assert_eq!(delivered(&fed), 0);
    fed.feed(Lane::Pieces, &init);
    assert_eq!(delivered(&fed), 2);
    let counters = fed.node.status().counters;
    assert_eq!((counters.malformed, counters.forged, counters.orphans_dropped), (0, 0, 0));
}

#[test]
fn a_newcomer_begins_at_the_join_point_even_if_it_is_overtaken() {
    let (mut maker, mut fed) = fed(0);
    let join_point = maker.segment(&payload(1), SIZE);
    maker.flags = Flags::default();
    let next = maker.segment(&payload(2), SIZE);
    fed.feed_segment(&next);
    assert_eq!(delivered(&fed), 0);
    fed.feed_segment(&join_point);
    assert_eq!(delivered(&fed), 2);
}

#[test]
fn headers_that_wait_are_bounded_and_wait_once() {
    let (mut maker, mut fed) = fed(0);
    maker.init = init().0;
    for seed in 0..20 {
        let frames = maker.segment(&payload(seed), SIZE);
        fed.feed(Lane::Pieces, &frames.header);
        fed.feed(Lane::Pieces, &frames.header);
    }
    assert_eq!(fed.node.status().counters.orphans_dropped, 4);
}

#[test]
fn a_node_whose_init_was_lost_asks_again() {
    let (mut maker, mut fed) = fed(0);
    maker.init = init().0;
    let frames = maker.segment(&payload(1), SIZE);
    fed.feed_segment(&frames);
    let mut wants = 0;
    for _ in 0..8 {
        fed.now += Micros::from_millis(100);
        wants += fed.give(Input::Tick).iter().filter(|output| is_want(output)).count();
    }
    assert_eq!(wants, 1);
}

fn is_want(output: &Output) -> bool {
    let Output::Send(_, Lane::Control, Payload::Bytes(bytes)) = output else { return false };
    matches!(Frame::decode(bytes), Ok(Frame::Message(PeerMessage::Want(_))))
}
