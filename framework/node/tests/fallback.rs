//! When nobody feeds a viewer its host does, and no longer than it takes.

#[allow(dead_code)]
mod fed;

use fed::{Fed, Frames, Maker};
use peerstream_node::{Input, Output, Playout};
use peerstream_protocol::id::Seq;
use peerstream_protocol::segment::PieceSize;
use peerstream_protocol::time::Micros;

const SIZE: PieceSize = PieceSize::Kib4;
const FALLBACK: Playout = Playout { daring: false, bridges: false, fallback: true, linkless: false };

fn fed(playout: Playout) -> (Maker, Fed) {
    let maker = Maker::new();
    let mut fed = Fed::new(&maker.cert.clone(), 1);
    fed.give(Input::Playout(playout));
    (maker, fed)
}

/// Lets time go by in steps of 100 ms; the orders for the host's sake.
fn wait(fed: &mut Fed, ms: u64) -> Vec<Output> {
    let mut orders = Vec::new();
    for _ in 0..ms / 100 {
        fed.now += Micros::from_millis(100);
        orders.extend(fed.give(Input::Tick));
    }
    orders.retain(|order| matches!(order, Output::Fetch(_) | Output::EndFetch));
    orders
}

fn fetched(fed: &mut Fed, frames: &Frames) -> Vec<Output> {
    let all: Vec<_> = [&frames.header].into_iter().chain(&frames.pieces).cloned().collect();
    all.iter().flat_map(|frame| fed.give(Input::Fetched(frame))).collect()
}

fn delivered(fed: &Fed) -> u64 {
    fed.node.status().counters.delivered
}

#[test]
fn a_viewer_that_is_fed_never_asks_its_host() {
    let (mut maker, mut fed) = fed(FALLBACK);
    for _ in 0..100 {
        fed.feed_segment(&maker.segment(&[1; 5_000], SIZE));
        assert!(!fed.node.status().fallback);
    }
    assert_eq!(fed.node.status().counters.fallbacks, 0);
}

#[test]
fn without_the_pages_word_there_is_no_fallback() {
    let (_, mut fed) = fed(Playout::default());
    assert!(wait(&mut fed, 60_000).is_empty());
}

#[test]
fn a_viewer_that_nobody_feeds_is_fed_by_its_host_from_where_it_is_and_forwards_that() {
    let (mut maker, mut fed) = fed(FALLBACK);
    fed.feed_segment(&maker.segment(&[1; 5_000], SIZE));
    assert_eq!(wait(&mut fed, 6_000), [Output::Fetch(Some(Seq(1)))]);
    let orders = fetched(&mut fed, &maker.segment(&[2; 5_000], SIZE));
    assert_eq!(delivered(&fed), 2);
    let forwarded = |order: &&Output| matches!(order, Output::Send(link, ..) if fed.children.contains(link));
    assert!(orders.iter().filter(forwarded).count() >= 3, "header and pieces");
    assert_eq!(fed.node.status().counters.fetched, 5_000);
}

#[test]
fn what_the_host_sends_is_checked() {
    let (mut maker, mut fed) = fed(FALLBACK);
    wait(&mut fed, 6_000);
    let mut frames = maker.segment(&[2; 5_000], SIZE);
    frames.pieces[0][50] ^= 1;
    fetched(&mut fed, &frames);
    fed.give(Input::Fetched(b"nonsense"));
    assert_eq!((delivered(&fed), fed.node.status().counters.forged), (0, 1));
}

#[test]
fn the_fallback_ends_when_the_overlay_carries_again() {
    let (mut maker, mut fed) = fed(FALLBACK);
    assert_eq!(wait(&mut fed, 6_000), [Output::Fetch(None)]);
    for _ in 0..5 {
        fetched(&mut fed, &maker.segment(&[2; 5_000], SIZE));
        assert!(wait(&mut fed, 100).is_empty());
    }
    let mut ended = 0;
    for at in 0..40 {
        let frames = maker.segment(&[3; 5_000], SIZE);
        if ended == 0 {
            fetched(&mut fed, &frames);
        }
        fed.feed_segment(&frames);
        if ended == 0 && !fed.node.status().fallback {
            ended = at;
        }
    }
    assert!((15..=30).contains(&ended), "after {ended} segments of 100 ms");
    assert_eq!(delivered(&fed), 45);
}

#[test]
fn a_host_without_room_is_asked_again_less_and_less_often() {
    let (_, mut fed) = fed(FALLBACK);
    let mut asked = 0;
    for _ in 0..600 {
        if wait(&mut fed, 100).contains(&Output::Fetch(None)) {
            asked += 1;
            fed.give(Input::FetchEnded);
        }
    }
    assert!((3..=9).contains(&asked), "{asked} times in a minute");
}

#[test]
fn a_host_that_falls_silent_is_let_go() {
    let (_, mut fed) = fed(FALLBACK);
    assert_eq!(wait(&mut fed, 6_000), [Output::Fetch(None)]);
    assert_eq!(wait(&mut fed, 12_000)[0], Output::EndFetch);
}

#[test]
fn where_no_links_can_be_made_the_host_is_asked_at_once_and_no_link_is_opened() {
    let (_, fed) = fed(Playout { linkless: true, ..FALLBACK });
    assert!(fed.node.status().fallback);
}

#[test]
fn frames_that_were_not_asked_for_are_counted() {
    let (mut maker, mut fed) = fed(FALLBACK);
    fetched(&mut fed, &maker.segment(&[2; 100], SIZE));
    assert_eq!((delivered(&fed), fed.node.status().counters.unsolicited), (0, 2));
}
