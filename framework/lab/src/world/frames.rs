//! Frames on their way from one node to another, and what comes of them.

use std::rc::Rc;

use peerstream_node::{Input, LinkId, Output, Payload};
use peerstream_protocol::frame::{Frame, Lane, PIECE_PREFIX, PeerMessage};
use peerstream_protocol::id::Seq;
use peerstream_protocol::time::Micros;

use super::{ActorId, Event, LEVELS_MAX, PRODUCED_MAX, World};
use crate::conductor::Conductor;
use crate::network::{on_the_line, sending};

/// A parent that delivered within this time is taken for one that feeds, by the checker of P5: after F of silence, 300 ms by
/// the node's own clock, which may run fast, it is one that has failed.
const FEEDS: Micros = Micros(299_000);
/// A feeder that delivered within this time is another one, by the same.
const FED: Micros = Micros::from_millis(1_200);

/// The piece frames of one segment, as far as they have been sent.
pub(super) type Pieces = Vec<Option<Rc<[u8]>>>;

/// The bytes of a frame. Those of a piece are the same on all links, and are kept once.
#[derive(Debug)]
pub(super) enum Body {
    Own(Vec<u8>),
    Shared(Rc<[u8]>),
}

impl Body {
    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Self::Own(bytes) => bytes,
            Self::Shared(bytes) => bytes,
        }
    }
}

impl<C: Conductor> World<C> {
    /// The bytes of a payload, and how many they stand for.
    pub(super) fn body(&mut self, id: ActorId, payload: Payload) -> (Body, u64) {
        let (seq, index) = match payload {
            Payload::Bytes(bytes) => {
                let size = self.true_size(&bytes);
                return (Body::Own(bytes), size);
            }
            Payload::Piece { seq, index } => (seq, index),
        };
        let node = self.actors[id.0].node.as_ref().expect("it ordered the piece");
        let frame = node.piece_frame(seq, index).expect("a piece ordered is here");
        let size = self.scale.map_or(frame.len() as u64, |scale| scale.piece_bytes + PIECE_PREFIX as u64);
        let (known, pieces) = &mut self.pieces[seq.0 as usize % PRODUCED_MAX];
        if *known != seq {
            (*known, *pieces) = (seq, Vec::new());
        }
        if pieces.len() <= usize::from(index) {
            pieces.resize(usize::from(index) + 1, None);
        }
        let piece = &mut pieces[usize::from(index)];
        match piece {
            Some(piece) if **piece == *frame => (Body::Shared(piece.clone()), size),
            Some(_) => (Body::Own(frame.to_vec()), size),
            None => (Body::Shared(piece.insert(frame.into()).clone()), size),
        }
    }

    /// Bytes of a message. A packet train is measured against the stream, so its padding stands for more as pieces do.
    fn true_size(&self, bytes: &[u8]) -> u64 {
        let size = bytes.len() as u64;
        match Frame::decode(bytes) {
            Ok(Frame::Message(PeerMessage::Train { padding, .. })) => {
                let padding = padding.len() as u64;
                size - padding + (padding as f64 * self.payload_scale()) as u64
            }
            _ => size,
        }
    }

    pub(super) fn send(&mut self, id: ActorId, link: LinkId, lane: Lane, payload: Payload) {
        let now = self.now;
        let is_piece = matches!(payload, Payload::Piece { .. });
        let (body, size) = self.body(id, payload);
        if let Body::Own(bytes) = &body
            && lane == Lane::Control
        {
            self.watch_release(id, link, bytes);
        }
        let actor = &mut self.actors[id.0];
        let mute = actor.flaw.mute && is_piece;
        let late = if is_piece { actor.flaw.late } else { Micros(0) };
        let Some((_, wire)) = actor.wires.iter_mut().find(|(known, _)| *known == link) else { return };
        let Some((to, back)) = wire.other.filter(|_| wire.open) else { return };
        wire.credit = wire.credit.saturating_sub(body.bytes().len() as u64);
        if now >= wire.loses_until && !mute {
            let bytes = on_the_line(size);
            let wait = wire.wait_for_window(bytes, self.window_max, now);
            actor.queued_max = actor.queued_max.max(actor.uplink_free.since(now));
            actor.uplink_free = actor.uplink_free.max(now) + sending(bytes, actor.access.uplink);
            actor.sent += bytes;
            let left = actor.uplink_free.max(now + wait) + late;
            let round_trip = wire.delay + wire.delay;
            let travels = left + wire.delay + self.network.troubles(bytes, round_trip, &mut self.chance);
            let arrives = wire.in_order(lane, travels, now);
            wire.on_sent(bytes, if wire.deserted { Micros(u64::MAX) } else { arrives + wire.delay });
            if !wire.deserted {
                let frame = Event::Frame { to: to as u32, link: back, lane, size: bytes as u32, body };
                self.events.push(arrives, frame);
            }
        }
        if wire.credit < self.credit_low {
            self.promise_credit(id, link);
        }
    }

    /// P5: a feeder that lives and feeds is not let go by a node that has no other. A helper that has brought nothing for longer than a
    /// segment has stopped: its own children come first.
    pub(super) fn watch_release(&mut self, id: ActorId, link: LinkId, bytes: &[u8]) {
        let small = bytes.len() == 3;
        if !small || !matches!(Frame::decode(bytes), Ok(Frame::Message(PeerMessage::Unwant(_)))) {
            return;
        }
        self.tally.releases += 1;
        let now = self.now;
        let actor = &self.actors[id.0];
        let Some((_, wire)) = actor.wires.iter().find(|(known, _)| *known == link) else { return };
        let there = wire.other.map(|(other, _)| &self.actors[other]);
        let lives = there.is_some_and(|other| other.is_alive() && !other.is_frozen(now));
        let helps = wire.other.is_some_and(|(other, _)| self.helps(id, ActorId(other)));
        let silent_max = if helps { FEEDS.min(self.segment) } else { FEEDS };
        let feeding = lives && wire.fed > Micros(0) && now.since(wire.fed) < silent_max;
        let mut others = actor.wires.iter().filter(|(known, _)| *known != link);
        let fed = others.any(|(_, other)| other.feeds > Micros(0) && now.since(other.feeds) < FED);
        if feeding && !fed {
            self.tally.releases_early += 1;
            if self.early_releases.len() < 8 {
                self.early_releases.push(format!("{id:?} let its only feeder go at {now:?}"));
            }
        }
    }

    /// As if the node had taken all its wants back.
    #[cfg(test)]
    pub(crate) fn release_everything(&mut self, id: ActorId) {
        let unwant = PeerMessage::Unwant(peerstream_protocol::id::Stripes::ALL).encode();
        let links: Vec<_> = self.actors[id.0].wires.iter().map(|(link, _)| *link).collect();
        links.into_iter().for_each(|link| self.watch_release(id, link, &unwant));
    }

    /// A frame is at the receiver's line and comes through it, after what is before it.
    pub(super) fn arrive(&mut self, to: u32, link: LinkId, lane: Lane, size: u32, body: Body) {
        let actor = &mut self.actors[to as usize];
        let Some(other) = actor.wire(link).and_then(|wire| wire.other) else { return };
        let sent_in = sending(u64::from(size), self.actors[other.0].access.uplink);
        let now = self.now;
        let actor = &mut self.actors[to as usize];
        let begins = actor.downlink_free.max(now - sent_in);
        let ends = (begins + sending(u64::from(size), actor.access.downlink)).max(now);
        actor.downlink_free = ends;
        if ends > now {
            return self.events.push(ends, Event::Received { to, link, lane, body });
        }
        self.receive(ActorId(to as usize), link, lane, &body);
    }

    pub(super) fn receive(&mut self, to: ActorId, link: LinkId, lane: Lane, body: &Body) {
        let now = self.now;
        let piece = self.scale.map_or(body.bytes().len() as u64, |scale| scale.piece_bytes);
        let next = self.actors[to.0].received.next;
        let Some(wire) = self.actors[to.0].wire(link).filter(|wire| wire.open) else { return };
        if lane == Lane::Pieces {
            wire.feeds = now;
        }
        if lane == Lane::Pieces
            && let Ok(Frame::Piece { seq, .. }) = Frame::decode(body.bytes())
        {
            // What comes too late to be of use feeds nobody.
            if seq >= next {
                wire.fed = now;
            }
            match wire.other {
                Some((0, _)) => self.tally.payload_from_source += piece,
                _ => self.tally.payload_from_peers += piece,
            }
        }
        self.tell(to, Input::Frame(link, lane, body.bytes()));
    }

    pub(super) fn deliver(&mut self, id: ActorId, output: &Output) {
        match output {
            Output::Deliver(seq) if self.actors[id.0].replay.is_some() => self.deliver_past(id, *seq),
            Output::Deliver(seq) => self.deliver_segment(id, *seq),
            Output::Turn => self.turn(id),
            Output::FetchPast(from, count) => self.ask_archive(id, *from, *count),
            Output::EndFetchPast => self.end_archive_answer(id),
            Output::Skip(from, to) => {
                let actor = &mut self.actors[id.0];
                actor.received.skipped += to.0 - from.0;
                actor.received.next = *to;
                actor.player.on_skip(*from, *to, self.now, &self.produced_at);
            }
            Output::Ended => self.actors[id.0].received.ended = true,
            Output::Refused(reason) => {
                let received = &mut self.actors[id.0].received;
                received.refused = Some(*reason);
                received.refusals += 1;
            }
            _ => {}
        }
    }

    pub(super) fn deliver_segment(&mut self, id: ActorId, seq: Seq) {
        let (now, actor) = (self.now, &mut self.actors[id.0]);
        let node = actor.node.as_ref().expect("it delivers");
        self.scratch.clear();
        let whole = node.payload(seq, &mut self.scratch);
        if actor.player.is_new(now) {
            actor.player.set_hop(node.status().hop);
        }
        let right = self.produced.get(seq.0 as usize % PRODUCED_MAX).is_some_and(|known| **known == *self.scratch);
        let received = &mut actor.received;
        let turned = std::mem::take(&mut received.turned);
        let expected = received.first.is_none() || turned || seq == received.next;
        received.wrong += u64::from(!whole || !right || !expected);
        match received.first {
            Some(_) => received.go_on(now, self.segment),
            None => (received.first, received.first_at) = (Some(seq), now),
        }
        (received.next, received.last_at) = (seq.next(), now);
        actor.player.on_segment(seq, now, &self.produced_at, self.segment);
        if actor.player.is_live() {
            let level = usize::from(actor.level).min(LEVELS_MAX - 1);
            self.lags[level].add(actor.player.lag.0 as f64 / 1e3);
        }
    }
}
