//! A source that was cut short goes on in the same epoch: what it makes of that, and what viewers make of it.

#[allow(dead_code)]
mod fed;

use fed::{Fed, Maker};
use peerstream_node::{Config, Input, Node, Output, Produced, Resume, Source};
use peerstream_protocol::cert::EpochCert;
use peerstream_protocol::control::Role;
use peerstream_protocol::crypto::SecretKey;
use peerstream_protocol::header::Flags;
use peerstream_protocol::id::{Epoch, NodeId, Seq};
use peerstream_protocol::segment::{Kind, PieceSize};
use peerstream_protocol::time::Micros;

/// A viewer of media that has played five segments, and the maker of the stream.
fn playing() -> (Maker, Fed) {
    let mut maker = Maker::new();
    maker.kind = Kind::Media;
    let mut fed = Fed::of(NodeId(1), Kind::Media, &maker.cert, 1);
    (0..5).for_each(|_| drop(feed(&mut maker, &mut fed)));
    assert_eq!(fed.node.status().counters.delivered, 5);
    (maker, fed)
}

/// The next segment comes; what the viewer was told to deliver or to skip.
fn feed(maker: &mut Maker, fed: &mut Fed) -> Vec<Output> {
    let frames = maker.segment(&[7; 5_000], PieceSize::Kib4);
    fed.now += Micros::from_millis(100);
    let mut outputs = Vec::new();
    for frame in std::iter::once(&frames.header).chain(&frames.pieces) {
        outputs.extend(fed.give(Input::Frame(fed.parent, peerstream_protocol::frame::Lane::Pieces, frame)));
    }
    outputs.retain(|output| matches!(output, Output::Deliver(_) | Output::Skip(..)));
    outputs
}

#[test]
fn the_very_next_number_plays_on_at_once() {
    let (mut maker, mut fed) = playing();
    fed.now += Micros::from_secs(4);
    maker.resume(Seq(5));
    assert_eq!(feed(&mut maker, &mut fed), [Output::Deliver(Seq(5))]);
    assert_eq!(fed.node.status().counters.forged, 0);
}

#[test]
fn numbers_that_nobody_signed_are_passed_over_and_blame_nobody() {
    for next in [7, 1_025, 5_000] {
        let (mut maker, mut fed) = playing();
        fed.now += Micros::from_secs(20);
        maker.resume(Seq(next));
        let mut outputs = feed(&mut maker, &mut fed);
        maker.flags = Flags::default();
        (0..20).for_each(|_| outputs.extend(feed(&mut maker, &mut fed)));
        assert!(outputs.contains(&Output::Skip(Seq(5), Seq(next))), "{next}: {outputs:?}");
        let delivered: Vec<_> = outputs.iter().filter(|it| matches!(it, Output::Deliver(_))).collect();
        assert_eq!(delivered.len(), 21, "{next}: {outputs:?}");
        assert_eq!(fed.node.status().counters.forged, 0, "{next}");
    }
}

#[test]
fn a_source_that_goes_on_says_so_once_and_continues_the_chain() {
    let (publisher, key) = (SecretKey::from_seed(&[1; 32]), SecretKey::from_seed(&[2; 32]));
    let cert = EpochCert::issue(&publisher, Epoch(1), key.public(), u64::MAX);
    let resume = Some(Resume { next: Seq(40), prev: [9; 32] });
    let source = Source { key, cert, kind: Kind::Data, wall_at_zero_us: 0, piece_size: None, resume };
    let config = Config {
        stream: Some(publisher.public()),
        role: Role::Source,
        capacity: 2,
        relay: true,
        seed: [7; 32],
        endpoints: 1,
        source: Some(source),
    };
    let mut node = Node::new(config, Micros(0));
    assert_eq!(node.produces_next(), Some((Seq(40), [9; 32])));
    let unit = Produced::Unit { payload: b"x", pts_us: 0, duration_us: 0, join_point: true, discontinuity: false };
    let mut cores = Vec::new();
    for _ in 0..2 {
        node.handle(Micros(0), Input::Produced(unit.clone()));
        cores.push(node.produced_header().unwrap().core);
    }
    assert_eq!((cores[0].seq, cores[0].prev), (Seq(40), [9; 32]));
    assert!(cores[0].flags.has(Flags::RESUMED.with(Flags::DISCONTINUITY)));
    assert_eq!((cores[1].seq, cores[1].flags), (Seq(41), Flags::JOIN_POINT));
    node.handle(Micros(0), Input::Produced(Produced::End));
    assert_eq!(node.produces_next(), None);
}
