//! The body of the fuzz target: a viewer between a parent and two children, all of whom may say anything, as may the coordinator, the host
//! and the publisher.

use peerstream_protocol::cert::EpochCert;
use peerstream_protocol::control::{Assignment, Down, Edge, Role, Welcome};
use peerstream_protocol::crypto::{Hash, PublicKey, SecretKey, Signature, Verifier};
use peerstream_protocol::frame::{Frame, Lane, encode_header};
use peerstream_protocol::header::{Core, Flags, Header};
use peerstream_protocol::id::{Epoch, NodeId, Rendition, Seq, Session, Term};
use peerstream_protocol::segment::{InitId, Kind, PieceSize};
use peerstream_protocol::time::Micros;

use crate::{Config, Input, Keeping, LinkId, Node, Output, PlayerState, Playout};

const CHILDREN: [NodeId; 2] = [NodeId(2), NodeId(3)];
/// Orders for one input, at most: a window's worth of pieces for each child.
const ORDERS_MAX: usize = 100_000;

/// Takes every signature and every piece, so that what is behind them is reached.
struct Believer;

impl Verifier for Believer {
    fn verify(&mut self, _: &PublicKey, _: &[u8], _: &Signature) -> bool {
        true
    }

    fn hash(&mut self, _: &[u8]) -> Hash {
        [0; 32]
    }
}

/// Of each chunk the first byte says what happens, the second how long the chunk is. Nothing may panic or cause a flood of orders.
#[doc(hidden)]
pub fn fuzz(mut data: &[u8]) {
    let kind = if data.len().is_multiple_of(2) { Kind::Media } else { Kind::Data };
    let mut world = World::new(kind);
    while let [what, length, rest @ ..] = data {
        let (bytes, left) = rest.split_at(usize::from(*length).min(rest.len()));
        world.happen(*what, bytes);
        data = left;
    }
    world.later(Micros::from_secs(30));
    let _ = world.node.status();
}

struct World {
    node: Node<Believer>,
    now: Micros,
    links: Vec<LinkId>,
    kind: Kind,
    next: u64,
}

impl World {
    fn new(kind: Kind) -> Self {
        let publisher = SecretKey::from_seed(&[1; 32]);
        let cert = EpochCert::issue(&publisher, Epoch(1), publisher.public(), u64::MAX);
        let (stream, now) = (Some(cert.publisher), Micros::from_secs(1));
        let config =
            Config { stream, role: Role::Viewer, capacity: 2, relay: true, seed: [7; 32], endpoints: 2, source: None };
        let node = Node::with_verifier(config, now, Believer);
        let mut world = Self { node, now, links: Vec::new(), kind, next: 0 };
        world.give(Input::Playout(Playout { daring: false, bridges: true, fallback: true, linkless: false }));
        world.give(Input::Keeping(Keeping { bytes_max: 1 << 20, span: Micros::from_secs(60), host: true }));
        world.give(Input::ControlUp);
        world.join(cert);
        world
    }

    fn join(&mut self, cert: EpochCert) {
        let welcome = Welcome {
            node: NodeId(1),
            session: Session([0; 16]),
            ticket: Vec::new(),
            term: Term(1),
            cert,
            rendition: Rendition(0),
            kind: self.kind,
            wall_us: 1_000_000,
            ice: Vec::new(),
        };
        self.give(Input::Control(&Down::Welcome(Box::new(welcome)).encode()));
        let assignment = Assignment {
            term: Term(1),
            version: 1,
            parents: vec![Edge::now(NodeId::SOURCE)],
            children: CHILDREN.map(Edge::now).into(),
            ..Assignment::default()
        };
        self.give(Input::Control(&Down::Assign(assignment).encode()));
        for from in CHILDREN {
            self.give(Input::Control(&Down::Signal { from, attempt: 9, payload: vec![1] }.encode()));
        }
    }

    /// Hands a fact in and carries the orders out. Links that are asked for come up.
    fn give(&mut self, input: Input<'_>) {
        self.node.handle(self.now, input);
        let opened = self.drain();
        for link in opened {
            self.links.push(link);
            self.node.handle(self.now, Input::LinkUp(link, 1 << 20));
            // What is opened now comes up later, when it is signalled about.
            self.drain();
        }
    }

    fn drain(&mut self) -> Vec<LinkId> {
        let (mut opened, mut orders, mut bytes) = (Vec::new(), 0, Vec::new());
        while let Some(order) = self.node.poll() {
            orders += 1;
            match order {
                Output::Open(link, ..) => opened.push(link),
                Output::Close(link) => self.links.retain(|one| *one != link),
                Output::Deliver(seq) => {
                    let _ = self.node.playable(seq, &mut bytes);
                }
                _ => {}
            }
        }
        assert!(orders < ORDERS_MAX, "a flood of orders");
        opened
    }

    fn link(&self, what: u8) -> LinkId {
        let at = usize::from(what >> 4) % self.links.len().max(1);
        self.links.get(at).copied().unwrap_or(LinkId(u32::from(what >> 4)))
    }

    fn happen(&mut self, what: u8, bytes: &[u8]) {
        let link = self.link(what);
        let number =
            |at: usize| bytes.get(at..at + 4).map_or(0, |four| u32::from_le_bytes(four.try_into().expect("four")));
        match what & 15 {
            0..=2 => self.give(Input::Frame(link, Lane::Control, bytes)),
            3 => self.give(Input::Frame(link, Lane::Pieces, bytes)),
            4..=6 => self.segment(link, what & 15, bytes),
            7 | 8 => self.give(Input::Control(bytes)),
            9 => self.break_link(link, number(0)),
            10 => self.give(Input::Fetched(bytes)),
            11 => self.give(Input::PastFetched(bytes)),
            12 => self.give(Input::Player(player(&[0, 4, 8, 12, 16, 20, 24].map(number)))),
            13 => self.decide(number(0)),
            14 => self.give(Input::LinkSignal(link, bytes)),
            _ => self.later(Micros::from_millis(u64::from(number(0) % 20_000))),
        }
    }

    fn break_link(&mut self, link: LinkId, how: u32) {
        match how % 5 {
            0 => self.give(Input::LinkDown(link)),
            1 => self.give(Input::LinkFailed(link)),
            2 => self.give(Input::ControlDown),
            3 => self.give(Input::ControlUp),
            _ => self.give(Input::Writable(link, how)),
        }
    }

    fn decide(&mut self, what: u32) {
        match what % 6 {
            0 => self.give(Input::GoBack(Micros::from_millis((what >> 8).into()))),
            1 => self.give(Input::ReturnToEdge),
            2 => self.give(Input::Woke),
            3 => self.give(Input::Relay(what & 256 != 0)),
            4 => self.give(Input::FetchEnded),
            _ => self.give(Input::PastFetchEnded(what & 256 != 0)),
        }
    }

    /// A segment as the publisher may sign it: the first bytes say what is odd about it, the rest is its payload.
    fn segment(&mut self, link: LinkId, odd: u8, bytes: &[u8]) {
        let [step, flags, time, init, payload @ ..] = bytes else { return };
        self.next = self.next.wrapping_add(if *step > 250 { u64::MAX / 3 } else { u64::from(step % 8) });
        let times = [100_000, 0, 1 << 40, u64::MAX - 5];
        let at = |bits: u8| times[usize::from(time >> bits) % 4].wrapping_add(self.next.wrapping_mul(100_000));
        let core = Core {
            seq: Seq(self.next),
            kind: self.kind,
            flags: Flags(flags & 7),
            pts_us: at(0),
            duration_us: if self.kind == Kind::Media { 100_000 << (time >> 6) } else { 0 },
            wall_us: at(2),
            init: if *init == 0 { InitId::NONE } else { InitId([init % 4; 16]) },
            payload_len: payload.len() as u32,
            piece_size: PieceSize::Kib4,
            prev: [0; 32],
        };
        let signature = Signature::from_bytes(&[0; 64]);
        let header = Header { hashes: vec![[0; 32]; core.piece_count()], core, signature };
        let header = encode_header(&header);
        let piece = Frame::Piece { seq: core.seq, index: 0, bytes: payload }.encode();
        for frame in [&header, &piece] {
            match odd {
                4 => self.give(Input::Frame(link, Lane::Pieces, frame)),
                5 => self.give(Input::Fetched(frame)),
                _ => self.give(Input::PastFetched(frame)),
            }
        }
    }

    /// Time passes, in steps as a driver makes them.
    fn later(&mut self, span: Micros) {
        for _ in 0..5 {
            self.now += Micros(span.0 / 5);
            self.give(Input::Tick);
        }
    }
}

fn player(numbers: &[u32; 7]) -> PlayerState {
    let [position, start, end, next, latest, ahead, flags] = numbers.map(|number| u64::from(number) * 100);
    PlayerState {
        position_us: position,
        range_start_us: start,
        range_end_us: end,
        next_range_us: (flags & 4 != 0).then_some((next, latest)),
        latest_us: latest,
        ahead_us: ahead,
        paused: flags & 8 != 0,
        ready: flags & 16 != 0,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn a_viewer_survives_whatever_anybody_says(
            chunks in prop::collection::vec((any::<u8>(), prop::collection::vec(any::<u8>(), 0..40)), 0..60),
        ) {
            let data: Vec<u8> = chunks.into_iter().flat_map(|(what, bytes)| [vec![what, bytes.len() as u8], bytes].concat()).collect();
            fuzz(&data);
        }
    }
}
