//! What a node does when coordinators change, ask and refuse.

#[allow(dead_code)]
mod fed;

use fed::{Fed, Maker};
use peerstream_node::{Input, Output};
use peerstream_protocol::control::{Down, Reason, Up, Welcome};
use peerstream_protocol::id::{NodeId, Session, Term};
use peerstream_protocol::segment::PieceSize;
use peerstream_protocol::time::Micros;

fn welcome(maker: &Maker, term: u64, ticket: u8) -> Vec<u8> {
    let welcome = Welcome {
        node: NodeId(1),
        session: Session([0; 16]),
        ticket: vec![ticket; 24],
        term: Term(term),
        cert: maker.cert.clone(),
        rendition: Default::default(),
        kind: Default::default(),
        wall_us: 0,
        ice: Vec::new(),
    };
    Down::Welcome(Box::new(welcome)).encode()
}

/// Lets time pass until a new connection is wanted; gives the time that took.
fn until_it_calls(fed: &mut Fed) -> Micros {
    let from = fed.now;
    for _ in 0..3_000 {
        fed.now += Micros::from_millis(100);
        if fed.give(Input::Tick).iter().any(|output| matches!(output, Output::OpenControl(_))) {
            return fed.now.since(from);
        }
    }
    panic!("it never calls again");
}

/// What it says first on a new connection.
fn greet(fed: &mut Fed) -> peerstream_protocol::control::Hello {
    let outputs = fed.give(Input::ControlUp);
    let said = outputs.iter().find_map(|output| match output {
        Output::Control(bytes) => Up::decode(bytes).ok(),
        _ => None,
    });
    match said {
        Some(Up::Hello(hello)) => hello,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_probe_is_answered_at_once_with_a_report() {
    let maker = Maker::new();
    let mut fed = Fed::new(&maker.cert.clone(), 0);
    fed.give(Input::Tick);
    let outputs = fed.give(Input::Control(&Down::Probe.encode()));
    let report =
        |output: &Output| matches!(output, Output::Control(bytes) if matches!(Up::decode(bytes), Ok(Up::Report(_))));
    assert_eq!(outputs.iter().filter(|output| report(output)).count(), 1, "{outputs:?}");
}

#[test]
fn a_node_comes_back_with_its_ticket_and_follows_a_higher_term_only() {
    let maker = Maker::new();
    let mut fed = Fed::new(&maker.cert.clone(), 0);
    fed.give(Input::ControlDown);
    until_it_calls(&mut fed);
    greet(&mut fed);
    fed.give(Input::Control(&welcome(&maker, 5, 7)));
    fed.give(Input::ControlDown);
    until_it_calls(&mut fed);
    assert_eq!(greet(&mut fed).ticket, [7; 24]);
    let outputs = fed.give(Input::Control(&welcome(&maker, 4, 8)));
    assert!(outputs.contains(&Output::CloseControl), "an old coordinator is fenced off: {outputs:?}");
    until_it_calls(&mut fed);
    assert_eq!(greet(&mut fed).ticket, [7; 24]);
    let outputs = fed.give(Input::Control(&welcome(&maker, 6, 9)));
    assert!(!outputs.contains(&Output::CloseControl), "{outputs:?}");
}

#[test]
fn a_node_that_was_shed_stays_away_for_a_minute() {
    let maker = Maker::new();
    let mut fed = Fed::new(&maker.cert.clone(), 0);
    for _ in 0..3 {
        fed.give(Input::Control(&Down::Refuse(Reason::NoLowerRendition).encode()));
        let pause = until_it_calls(&mut fed);
        assert!(pause >= Micros::from_secs(60) && pause <= Micros::from_secs(121), "{pause:?}");
        greet(&mut fed);
    }
}

/// Seconds after which a node links with the source anew that feeds it, once another coordinator reigns; the source may go on speaking.
fn relinks_after(source_speaks: bool) -> Option<f64> {
    let mut maker = Maker::new();
    let mut fed = Fed::new(&maker.cert.clone(), 0);
    fed.feed_segment(&maker.segment(&[1; 100], PieceSize::Kib4));
    fed.give(Input::ControlDown);
    until_it_calls(&mut fed);
    greet(&mut fed);
    fed.give(Input::Control(&welcome(&maker, 5, 7)));
    let (from, old, mut closed) = (fed.now, fed.parent, false);
    for _ in 0..40 {
        if source_speaks {
            fed.feed_segment(&maker.segment(&[1; 100], PieceSize::Kib4));
        } else {
            fed.now += Micros::from_millis(100);
        }
        let outputs = fed.give(Input::Tick);
        closed |= outputs.contains(&Output::Close(old));
        let anew = |output: &Output| matches!(output, Output::Open(link, NodeId::SOURCE, _) if *link != old);
        if outputs.iter().any(anew) {
            assert!(closed, "{outputs:?}");
            return Some(fed.now.since(from).0 as f64 / 1e6);
        }
    }
    None
}

#[test]
fn a_source_that_is_silent_under_a_new_coordinator_has_begun_anew_and_is_linked_with_again() {
    let after = relinks_after(false).expect("it is linked with again");
    assert!(after < 2.0, "after {after} s");
    assert_eq!(relinks_after(true), None, "a source that speaks lives");
}
