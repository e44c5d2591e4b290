//! Guests are given what is kept at a pace, so that those who are fed live never wait behind much of theirs.

#[allow(dead_code)]
mod fed;

use fed::{Fed, Frames, Maker};
use peerstream_node::{Input, Keeping, LinkId, Output, Payload};
use peerstream_protocol::control::Down;
use peerstream_protocol::frame::{Frame, Lane, PeerMessage};
use peerstream_protocol::id::{NodeId, Seq};
use peerstream_protocol::segment::{Kind, PieceSize};
use peerstream_protocol::time::Micros;
use proptest::prelude::*;

const KEEPER: NodeId = NodeId(2);
/// Of ten segments a second.
const SEGMENT_BYTES: usize = 9_000;
const PIECE_BYTES: usize = 4_096;
/// Segments kept before anybody asks.
const KEPT: u64 = 300;
/// The copies that a node of capacity 2 may send, and an eighth, in bytes per second: nothing was measured.
const PACE: usize = SEGMENT_BYTES * 10 * 3 * 9 / 8;
/// What the uplink may have to do when guests are sent something, in seconds; less once they have been sent their first half second.
const BURST: f64 = 0.1;

/// Payload that left the keeper: when, to whom, and how much.
#[derive(Clone, Copy, Debug)]
struct Sent {
    at: Micros,
    link: LinkId,
    bytes: usize,
}

/// A node that keeps what it has received, with children and guests.
struct Keeper {
    maker: Maker,
    fed: Fed,
    guests: Vec<LinkId>,
    /// The next segment each guest asks for.
    asks: Vec<u64>,
    timer: Micros,
    sent: Vec<Sent>,
}

impl Keeper {
    fn new(children: u64, guests: u64) -> Self {
        let mut maker = Maker::new();
        maker.kind = Kind::Media;
        let fed = Fed::of(KEEPER, Kind::Media, &maker.cert.clone(), children);
        let mut keeper =
            Self { maker, fed, guests: Vec::new(), asks: Vec::new(), timer: Micros(u64::MAX), sent: Vec::new() };
        keeper.give(Input::Keeping(Keeping { bytes_max: 64 << 20, span: Micros::from_secs(600), host: false }));
        (0..KEPT).for_each(|_| keeper.receive());
        for guest in (0..guests).map(|n| NodeId(50 + n)) {
            keeper.give(Input::Control(&Down::Guest(guest).encode()));
            let offer = Down::Signal { from: guest, attempt: 1, payload: vec![1] }.encode();
            let orders = keeper.give(Input::Control(&offer));
            let link = orders.iter().find_map(|order| match order {
                Output::Open(link, peer, _) if *peer == guest => Some(*link),
                _ => None,
            });
            let link = link.expect("a guest is answered");
            keeper.give(Input::LinkUp(link, u32::MAX));
            keeper.guests.push(link);
            keeper.asks.push(20);
        }
        keeper.sent.clear();
        keeper
    }

    /// Hands in a fact at once and notes what is sent.
    fn give(&mut self, input: Input<'_>) -> Vec<Output> {
        let orders = self.fed.give(input);
        for order in &orders {
            match order {
                Output::SetTimer(at) => self.timer = *at,
                Output::Send(link, _, Payload::Piece { seq, index }) => {
                    let bytes = self.fed.node.piece_frame(*seq, *index).map_or(0, |frame| match Frame::decode(frame) {
                        Ok(Frame::Piece { bytes, .. }) => bytes.len(),
                        _ => 0,
                    });
                    self.sent.push(Sent { at: self.fed.now, link: *link, bytes });
                }
                _ => {}
            }
        }
        orders
    }

    /// A tenth of a second passes, timers ring, and a segment comes.
    fn receive(&mut self) {
        let next = self.fed.now + Micros::from_millis(100);
        while self.timer < next {
            self.fed.now = self.fed.now.max(self.timer);
            self.timer = Micros(u64::MAX);
            self.give(Input::Tick);
        }
        self.fed.now = next;
        let payload = vec![self.maker.next().0 as u8; SEGMENT_BYTES];
        let Frames { header, pieces } = self.maker.segment(&payload, PieceSize::Kib4);
        let parent = self.fed.parent;
        for frame in [header].iter().chain(&pieces) {
            self.give(Input::Frame(parent, Lane::Pieces, frame));
        }
    }

    fn ask(&mut self, guest: usize, count: u64) {
        let (from, link) = (self.asks[guest], self.guests[guest]);
        self.asks[guest] = from + count;
        let past = PeerMessage::Past { from: Seq(from), until: Seq(from + count) }.encode();
        self.give(Input::Frame(link, Lane::Control, &past));
    }

    fn is_guest(&self, link: LinkId) -> bool {
        self.guests.contains(&link)
    }

    /// Bytes sent to guests, or to children.
    fn bytes(&self, guests: bool) -> usize {
        self.sent.iter().filter(|sent| self.is_guest(sent.link) == guests).map(|sent| sent.bytes).sum()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// Whoever asks for how much when: what children and guests are sent in any second, up to what a guest is sent last, is within
    /// the pace.
    #[test]
    fn what_guests_are_sent_over_any_second_is_within_the_pace(
        children in 0_u64..3,
        asks in prop::collection::vec((0_usize..3, 1_u64..17), 30..60),
    ) {
        let mut keeper = Keeper::new(children, 3 - children);
        for (guest, count) in asks {
            let guests = keeper.guests.len();
            keeper.ask(guest % guests, count);
            keeper.receive();
        }
        prop_assert!(keeper.bytes(true) > 0);
        let most = (PACE as f64 * (1.0 + BURST)) as usize + PIECE_BYTES;
        for (begin, first) in keeper.sent.iter().enumerate() {
            let second = keeper.sent[begin..].iter().take_while(|sent| sent.at < first.at + Micros::from_secs(1));
            let second: Vec<_> = second.collect();
            let last = second.iter().rposition(|sent| keeper.is_guest(sent.link)).map_or(0, |last| last + 1);
            let bytes: usize = second[..last].iter().map(|sent| sent.bytes).sum();
            prop_assert!(bytes <= most, "{bytes} bytes in the second from {:?}, not {most}", first.at);
        }
    }
}

#[test]
fn guests_that_ask_for_more_than_there_is_are_given_all_that_children_leave_each_about_the_same() {
    for (children, guests) in [(0, 3), (1, 2), (2, 1)] {
        let mut keeper = Keeper::new(children, guests);
        for _ in 0..60 {
            (0..guests as usize).for_each(|guest| keeper.ask(guest, 4));
            keeper.receive();
        }
        let (live, given) = (keeper.bytes(false), keeper.bytes(true));
        assert_eq!(live, children as usize * 60 * SEGMENT_BYTES, "nothing that is live is held back");
        let left = PACE * 6 - live;
        // The last segment came when guests had been sent what there was.
        let beyond = (PACE as f64 * BURST) as usize + PIECE_BYTES + children as usize * SEGMENT_BYTES;
        assert!((left * 19 / 20..=left + beyond).contains(&given), "{children} children: {given} of {left} bytes");
        let of = |link: &LinkId| keeper.sent.iter().filter(|sent| sent.link == *link).map(|sent| sent.bytes).sum();
        let each: Vec<usize> = keeper.guests.iter().map(of).collect();
        let (least, most) = (each.iter().min().unwrap(), each.iter().max().unwrap());
        assert!(least * 20 >= most * 19, "{each:?}");
    }
}

#[test]
fn a_guest_of_an_idle_node_is_sent_its_first_half_second_within_a_quarter_of_one() {
    let mut keeper = Keeper::new(2, 1);
    let began = keeper.fed.now;
    keeper.ask(0, 8);
    (0..6).for_each(|_| keeper.receive());
    let guests = keeper.sent.iter().filter(|sent| keeper.is_guest(sent.link));
    let so_far = guests.scan(0, |so_far, sent| {
        *so_far += sent.bytes;
        Some((*so_far, sent.at))
    });
    let (_, at) = so_far.into_iter().find(|(bytes, _)| *bytes >= 5 * SEGMENT_BYTES).expect("it is sent all");
    assert!(at < began + Micros::from_millis(250), "after {:?}", at.since(began));
}

#[test]
fn a_guest_that_has_just_come_is_served_before_those_that_have_been_sent_something() {
    let mut keeper = Keeper::new(0, 3);
    for _ in 0..20 {
        [0, 1].into_iter().for_each(|guest| keeper.ask(guest, 4));
        keeper.receive();
    }
    let (began, before) = (keeper.fed.now, keeper.sent.len());
    keeper.ask(2, 8);
    (0..4).for_each(|_| keeper.receive());
    let third = keeper.guests[2];
    let (own, others): (Vec<&Sent>, Vec<&Sent>) = keeper.sent[before..].iter().partition(|sent| sent.link == third);
    // Of three pieces each; the sixth segment may be the last one that is sent first.
    let last = own[3 * 5].at;
    assert!(last < began + Micros::from_millis(200), "its first half second comes within {:?}", last.since(began));
    assert!(others.iter().all(|sent| sent.at >= last), "before anything of the others'");
}
