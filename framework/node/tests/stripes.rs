//! A node whose stripes come from several parents, or go to children that want one of them.

#[allow(dead_code)]
mod fed;

use fed::{Fed, Maker};
use peerstream_node::{Input, LinkId, Output, Payload};
use peerstream_protocol::control::{Assignment, Down, Edge, Report, Up, When};
use peerstream_protocol::frame::{Frame, Lane, PeerMessage, Resume, Want};
use peerstream_protocol::id::{NodeId, Seq, Stripes, Term};
use peerstream_protocol::segment::PieceSize;
use peerstream_protocol::time::Micros;

const EVEN: Stripes = Stripes(1);
const ODD: Stripes = Stripes(2);
const OTHER: NodeId = NodeId(2);
const HELPER: NodeId = NodeId(3);

fn edge(peer: NodeId, stripes: Stripes) -> Edge {
    Edge { peer, stripes, when: When::Now }
}

/// The messages to peers among the orders.
fn said(outputs: &[Output]) -> Vec<(LinkId, PeerMessage)> {
    let said = outputs.iter().filter_map(|output| match output {
        Output::Send(link, Lane::Control, Payload::Bytes(bytes)) => match Frame::decode(bytes) {
            Ok(Frame::Message(message)) => Some((*link, message)),
            _ => None,
        },
        _ => None,
    });
    said.collect()
}

fn wants(outputs: &[Output]) -> Vec<(LinkId, Stripes, Resume)> {
    let wants = said(outputs).into_iter().filter_map(|(link, message)| match message {
        PeerMessage::Want(want) => Some((link, want.stripes, want.from)),
        _ => None,
    });
    wants.collect()
}

/// A peer with a larger name offers a link.
fn open(fed: &mut Fed, peer: NodeId) -> (LinkId, Vec<Output>) {
    let outputs = fed.give(Input::Control(&Down::Signal { from: peer, attempt: 9, payload: vec![1] }.encode()));
    let opened = outputs.iter().find_map(|output| match output {
        Output::Open(link, with, _) if *with == peer => Some(*link),
        _ => None,
    });
    let link = opened.expect("the viewer answers");
    (link, fed.give(Input::LinkUp(link, u32::MAX)))
}

fn assign(fed: &mut Fed, version: u64, parents: Vec<Edge>, children: Vec<Edge>) -> Vec<Output> {
    let standby = vec![Edge::now(HELPER)];
    let assignment = Assignment { term: Term(1), version, parents, children, standby, ..Assignment::default() };
    fed.give(Input::Control(&Down::Assign(assignment).encode()))
}

/// Hands in the next segment over this link.
fn hand_in(fed: &mut Fed, maker: &mut Maker, link: LinkId) -> Vec<Output> {
    fed.now += Micros::from_millis(50);
    let frames = maker.segment(&[7; 5_000], PieceSize::Kib4);
    let frames: Vec<_> = [frames.header].into_iter().chain(frames.pieces).collect();
    frames.iter().flat_map(|frame| fed.give(Input::Frame(link, Lane::Pieces, frame))).collect()
}

fn tick(fed: &mut Fed, ms: u64) -> Vec<Output> {
    fed.now += Micros::from_millis(ms);
    fed.give(Input::Tick)
}

fn last_report(outputs: &[Output]) -> Option<Report> {
    let mut reports = outputs.iter().filter_map(|output| match output {
        Output::Control(bytes) => match Up::decode(bytes) {
            Ok(Up::Report(report)) => Some(report),
            _ => None,
        },
        _ => None,
    });
    reports.next_back()
}

/// A node that gets even segments from the source and odd ones from another node, and has a helper.
fn striped() -> (Maker, Fed, LinkId, LinkId) {
    let mut maker = Maker::new();
    let mut fed = Fed::new(&maker.cert.clone(), 0);
    let source = fed.parent;
    hand_in(&mut fed, &mut maker, source);
    assign(&mut fed, 2, vec![edge(NodeId::SOURCE, EVEN), edge(OTHER, ODD)], Vec::new());
    let (other, outputs) = open(&mut fed, OTHER);
    assert_eq!(wants(&outputs), [(other, ODD, Resume::Seq(Seq(1)))], "only the half that it shall get there");
    let (helper, _) = open(&mut fed, HELPER);
    (maker, fed, other, helper)
}

/// The same after both parents have gone, when it has asked its helper for all.
fn orphaned() -> (Maker, Fed, LinkId) {
    let (mut maker, mut fed, other, helper) = striped();
    let source = fed.parent;
    for link in [other, source, other, source] {
        hand_in(&mut fed, &mut maker, link);
    }
    fed.give(Input::LinkDown(other));
    fed.give(Input::LinkDown(source));
    let outputs: Vec<_> = (0..10).flat_map(|_| tick(&mut fed, 50)).collect();
    assert_eq!(wants(&outputs).last().map(|(link, stripes, _)| (*link, *stripes)), Some((helper, Stripes::ALL)));
    (maker, fed, helper)
}

#[test]
fn halves_from_two_parents_are_delivered_in_order_and_reported_apart() {
    let (mut maker, mut fed, other, _) = striped();
    let source = fed.parent;
    let outputs = hand_in(&mut fed, &mut maker, other);
    let released = said(&outputs).contains(&(source, PeerMessage::Unwant(ODD)));
    assert!(released, "the old parent of the odd half goes when the new one feeds, and only of that half");
    for at in 0..18 {
        hand_in(&mut fed, &mut maker, if at % 2 == 0 { source } else { other });
    }
    assert_eq!(fed.node.status().counters.delivered, 20);
    let outputs: Vec<_> = (0..8).flat_map(|_| tick(&mut fed, 25)).collect();
    let report = last_report(&outputs).expect("one a second at least");
    let feeds = |peer: NodeId| report.links.iter().find(|link| link.peer == peer).map(|link| link.feeds_me);
    assert_eq!((feeds(NodeId::SOURCE), feeds(OTHER), feeds(HELPER)), (Some(EVEN), Some(ODD), Some(Stripes::NONE)));
}

#[test]
fn when_one_parent_goes_a_helper_is_asked_for_its_half_from_where_it_stopped() {
    let (mut maker, mut fed, other, helper) = striped();
    let source = fed.parent;
    for link in [other, source, other, source] {
        hand_in(&mut fed, &mut maker, link);
    }
    fed.give(Input::LinkDown(other));
    let asked = (0..10).map(|_| wants(&tick(&mut fed, 50))).find(|asked| !asked.is_empty());
    assert_eq!(asked.unwrap_or_default(), [(helper, ODD, Resume::Seq(Seq(5)))]);
    hand_in(&mut fed, &mut maker, helper);
    assert_eq!(fed.node.status().counters.delivered, 6);
}

#[test]
fn a_half_that_comes_later_than_the_other_is_no_hole() {
    let (mut maker, mut fed, other, _) = striped();
    let source = fed.parent;
    hand_in(&mut fed, &mut maker, other);
    let even = [maker.segment(&[2; 100], PieceSize::Kib4)];
    let odd = maker.segment(&[3; 100], PieceSize::Kib4);
    let later = maker.segment(&[4; 100], PieceSize::Kib4);
    let mut outputs = Vec::new();
    for frames in even.iter().chain([&later]) {
        fed.now += Micros::from_millis(50);
        outputs.extend(fed.give(Input::Frame(source, Lane::Pieces, &frames.header)));
        outputs.extend(fed.give(Input::Frame(source, Lane::Pieces, &frames.pieces[0])));
    }
    outputs.extend(tick(&mut fed, 120));
    assert!(wants(&outputs).is_empty(), "nothing is asked to be repaired");
    fed.give(Input::Frame(other, Lane::Pieces, &odd.header));
    fed.give(Input::Frame(other, Lane::Pieces, &odd.pieces[0]));
    assert_eq!((fed.node.status().counters.delivered, fed.node.status().counters.skipped), (5, 0));
}

#[test]
fn a_child_that_wants_one_half_is_sent_that_half_and_may_leave_it() {
    let (mut maker, mut fed, other, _) = striped();
    let child = NodeId(9);
    assign(&mut fed, 3, vec![edge(NodeId::SOURCE, EVEN), edge(OTHER, ODD)], vec![edge(child, EVEN)]);
    let (link, _) = open(&mut fed, child);
    let want = Want { stripes: EVEN, from: Resume::Seq(Seq(0)), until: None, have: Vec::new() };
    fed.give(Input::Frame(link, Lane::Control, &PeerMessage::Want(want).encode()));
    let source = fed.parent;
    let mut sent = Vec::new();
    for from in [other, source, other, source] {
        for output in hand_in(&mut fed, &mut maker, from) {
            if let Output::Send(to, _, Payload::Piece { seq, .. }) = output
                && to == link
            {
                sent.push(seq.0);
            }
        }
    }
    assert_eq!(sent, [2, 2, 4, 4], "both pieces of the even ones");
    assert_eq!(fed.node.status().stripes_out, 1);
    fed.give(Input::Frame(link, Lane::Control, &PeerMessage::Unwant(EVEN).encode()));
    assert_eq!((fed.node.status().stripes_out, fed.node.status().fed.len()), (0, 0));
}

#[test]
fn a_want_for_more_than_is_assigned_is_refused_and_what_is_sent_goes_on() {
    let (mut maker, mut fed, other, _) = striped();
    let child = NodeId(9);
    assign(&mut fed, 3, vec![edge(NodeId::SOURCE, EVEN), edge(OTHER, ODD)], vec![edge(child, EVEN)]);
    let (link, _) = open(&mut fed, child);
    for stripes in [EVEN, Stripes::ALL] {
        let want = Want { stripes, from: Resume::Seq(Seq(0)), until: None, have: Vec::new() };
        fed.give(Input::Frame(link, Lane::Control, &PeerMessage::Want(want).encode()));
    }
    let outputs: Vec<_> = (0..50).flat_map(|_| tick(&mut fed, 50)).collect();
    let refused = said(&outputs).into_iter().find_map(|(_, message)| match message {
        PeerMessage::Refused(stripes, _) => Some(stripes),
        _ => None,
    });
    assert_eq!(refused, Some(ODD));
    hand_in(&mut fed, &mut maker, other);
    let source = fed.parent;
    let outputs = hand_in(&mut fed, &mut maker, source);
    assert!(
        outputs
            .iter()
            .any(|output| matches!(output, Output::Send(to, _, Payload::Piece { seq: Seq(2), .. }) if *to == link))
    );
}

#[test]
fn a_want_from_the_end_of_all_numbers_is_no_endless_search() {
    let (mut maker, mut fed, other, helper) = striped();
    let last = Seq(u64::MAX);
    let before = Seq(u64::MAX - 1);
    for (stripes, from, until) in
        [(EVEN, last, None), (EVEN, before, Some(last)), (ODD, before, None), (EVEN, before, None)]
    {
        let want = Want { stripes, from: Resume::Seq(from), until, have: Vec::new() };
        fed.give(Input::Frame(helper, Lane::Control, &PeerMessage::Want(want).encode()));
        hand_in(&mut fed, &mut maker, other);
        let source = fed.parent;
        hand_in(&mut fed, &mut maker, source);
    }
    assert_eq!(fed.node.status().counters.delivered, 9);
}

#[test]
fn a_helper_that_refuses_one_half_goes_on_being_asked_for_the_other() {
    let (mut maker, mut fed, helper) = orphaned();
    let refused = PeerMessage::Refused(ODD, peerstream_protocol::frame::Refusal::Full).encode();
    fed.give(Input::Frame(helper, Lane::Control, &refused));
    assign(&mut fed, 3, vec![edge(NodeId(7), EVEN), edge(NodeId(8), ODD)], Vec::new());
    let (new, outputs) = open(&mut fed, NodeId(7));
    assert_eq!(wants(&outputs).first().map(|(link, stripes, _)| (*link, *stripes)), Some((new, EVEN)));
    // The helper is let go of what it sends once the new parent feeds.
    hand_in(&mut fed, &mut maker, helper);
    let frames = maker.segment(&[7; 100], PieceSize::Kib4);
    fed.give(Input::Frame(new, Lane::Pieces, &frames.header));
    fed.give(Input::Frame(new, Lane::Pieces, &frames.pieces[0]));
    let (later, _) = open(&mut fed, NodeId(8));
    let mut seen = Vec::new();
    for _ in 0..20 {
        seen.extend(said(&tick(&mut fed, 25)));
    }
    let asked = |link: LinkId, stripes: Stripes| {
        seen.iter()
            .any(|(to, message)| *to == link && matches!(message, PeerMessage::Want(want) if want.stripes == stripes))
    };
    assert!(!asked(later, EVEN) && !asked(helper, Stripes::ALL), "{seen:?}");
}

#[test]
fn a_full_helper_is_asked_again_a_moment_later_while_it_answers() {
    let (_, mut fed, helper) = orphaned();
    let refused = PeerMessage::Refused(Stripes::ALL, peerstream_protocol::frame::Refusal::Full).encode();
    fed.give(Input::Frame(helper, Lane::Control, &refused));
    let progress = PeerMessage::Progress(Stripes::ALL, Seq(2)).encode();
    let mut asked_after_ms = None;
    for ms in (25..=400).step_by(25) {
        fed.give(Input::Frame(helper, Lane::Control, &progress));
        let asked = wants(&tick(&mut fed, 25)).iter().any(|(link, _, _)| *link == helper);
        asked_after_ms = asked_after_ms.or(asked.then_some(ms));
    }
    assert!(asked_after_ms.is_some_and(|ms| (200..=250).contains(&ms)), "{asked_after_ms:?}");
}
