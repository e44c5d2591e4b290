//! Giving out what is kept: nodes that have gone back in time are guests here. They get what is to spare: those whom this node
//! feeds come first, and a guest takes the place of a copy that nobody needs.

use std::collections::VecDeque;

use peerstream_protocol::control::Kept;
use peerstream_protocol::crypto::Verifier;
use peerstream_protocol::frame::{Lane, PIECE_PREFIX, PeerMessage, encode_header};
use peerstream_protocol::id::{NodeId, Seq, Stripes};
use peerstream_protocol::segment::InitId;
use peerstream_protocol::time::Micros;

use crate::few::Few;
use crate::io::{LinkId, Output, Payload};
use crate::kept::Kept as Store;
use crate::link::Link;
use crate::node::Node;
use crate::pace::Pace;
use crate::past::Past;
use crate::window::{Segment, Window};

/// Guests at once, whatever the capacity.
const GUESTS_MAX: usize = 8;
/// A guest that was not given anything for this long takes no capacity.
const GUEST_IDLE: Micros = Micros::from_secs(3);
/// One that was named and has not been given anything yet is expected for this long.
const GUEST_EXPECTED: Micros = Micros::from_secs(5);
/// A guest that has not asked for this long is none.
const GUEST_GONE: Micros = Micros::from_secs(20);
/// Segments that one guest may have asked for and not been sent.
const OWED_MAX: usize = 32;

/// Who may ask for what is kept here, and how fast they are given it.
#[derive(Debug, Default)]
pub(crate) struct Guests {
    all: Few<NodeId, Guest>,
    pub(crate) pace: Pace,
    /// Things sent to guests.
    turns: u64,
}

/// One of them.
#[derive(Debug)]
struct Guest {
    /// When it was last named.
    named: Micros,
    /// When it was last named, or asked.
    heard: Micros,
    /// When it was last given something. Guests that are only named do not stand in each other's way.
    given: Option<Micros>,
}

impl Guest {
    fn is_given(&self, now: Micros) -> bool {
        self.given.is_some_and(|given| now.since(given) < GUEST_IDLE)
    }

    fn is_expected(&self, now: Micros) -> bool {
        self.given.is_none_or(|given| given < self.named) && now.since(self.named) < GUEST_EXPECTED
    }
}

/// What one peer has asked for of the past.
#[derive(Clone, Debug, Default)]
pub(crate) struct PastFeed {
    owed: VecDeque<Seq>,
    /// The header of the first one is sent.
    header: bool,
    /// Its next piece.
    piece: u8,
    /// The init that was sent last.
    init: InitId,
    /// When it was last sent something, counted in things sent to guests.
    turn: u64,
    /// Payload sent since it has come, or has begun to ask again.
    given: u64,
}

impl PastFeed {
    pub(crate) fn is_owed(&self) -> bool {
        !self.owed.is_empty()
    }

    pub(crate) fn given(&self) -> u64 {
        self.given
    }

    fn pass(&mut self) {
        self.owed.pop_front();
        (self.header, self.piece) = (false, 0);
    }
}

impl<V: Verifier> Node<V> {
    /// The coordinator says that this node will ask.
    pub(crate) fn on_guest(&mut self, peer: NodeId) {
        let full = self.guests.all.len() >= GUESTS_MAX && !self.guests.all.contains_key(&peer);
        if full || !self.gives_past() || self.is_banned(peer) {
            self.counters.past_refused += 1;
            return;
        }
        let given = self.guests.all.get(&peer).and_then(|guest| guest.given);
        self.guests.all.insert(peer, Guest { named: self.now, heard: self.now, given });
        self.reconciler.invite(peer);
        if self.link_with(peer).is_none() {
            self.connect(peer);
        }
    }

    fn gives_past(&self) -> bool {
        self.past.keeping.bytes_max > 0 && self.is_receiver() && self.offers_to_relay()
    }

    /// What others may have from here, while there is capacity to spare.
    pub(crate) fn kept_for_others(&self) -> Option<Kept> {
        let room = self.copies_max().saturating_sub(self.copies_fed() + self.guests_given() + self.guests_expected());
        if !self.gives_past() || room == 0 {
            return None;
        }
        let retained = || self.window.from(self.window.first()).next().map(|(seq, _)| seq);
        let from = self.kept.first().or_else(retained)?;
        Some(Kept {
            from,
            fetched: self.fetched_run().filter(|(first, _)| *first < from),
            room: room.min(GUESTS_MAX) as u8,
        })
    }

    pub(crate) fn copies_fed(&self) -> usize {
        self.reconciler.stripes_out().div_ceil(usize::from(Stripes::COUNT))
    }

    /// Guests that are given something; each is a copy.
    pub(crate) fn guests_given(&self) -> usize {
        self.guests.all.iter().filter(|(peer, guest)| self.takes(**peer, guest)).count()
    }

    /// Guests that were named and are not given anything yet.
    fn guests_expected(&self) -> usize {
        let expected = |(peer, guest): &(&NodeId, &Guest)| !self.takes(**peer, guest) && guest.is_expected(self.now);
        self.guests.all.iter().filter(expected).count()
    }

    /// Whether this guest is given something.
    fn takes(&self, peer: NodeId, guest: &Guest) -> bool {
        let link = self.link_with(peer).map(|(_, link)| link).filter(|link| link.open);
        link.is_some_and(|link| link.past.is_owed() || guest.is_given(self.now))
    }

    /// Whether this guest, one more or one that is given something already, is within what this node may send.
    fn has_spare_copy(&self, guest: NodeId) -> bool {
        let takes = self.guests.all.get(&guest).is_some_and(|it| self.takes(guest, it));
        self.copies_fed() + self.guests_given() - usize::from(takes) < self.copies_max()
    }

    /// A peer asks for segments of the past.
    pub(crate) fn on_past_asked(&mut self, id: LinkId, from: Seq, until: Seq) {
        let now = self.now;
        let Some(link) = self.links.get_mut(&id) else { return };
        let (peer, owed) = (link.peer, link.past.owed.len());
        if !link.may_want(now) {
            self.counters.past_refused += until.0 - from.0;
            return self.blame(id, 1);
        }
        let invited = self.guests.all.contains_key(&peer) || self.reconciler.names(peer);
        let (mut given, mut begins) = (Vec::new(), false);
        if invited && self.gives_past() && self.has_spare_copy(peer) {
            let asked = (from.0..until.0).map(Seq).filter(|seq| self.gives(*seq));
            given.extend(asked.take(OWED_MAX.saturating_sub(owed)));
            if let Some(guest) = self.guests.all.get_mut(&peer) {
                begins = !guest.is_given(now);
                guest.heard = now;
                guest.given = if given.is_empty() { guest.given } else { Some(now) };
            }
        }
        let Some(link) = self.links.get_mut(&id) else { return };
        // One that is missing here says nothing of those behind it.
        let mut from = from;
        for next in given.iter().copied().chain([until]) {
            if from < next {
                self.counters.past_refused += next.0 - from.0;
                let missing = PeerMessage::NotKept { from, until: next };
                self.counters.overhead_sent += link.say(id, &missing, now, &mut self.out);
            }
            from = next.next();
        }
        if begins {
            link.past.given = 0;
        }
        link.past.owed.extend(given);
        self.note_owed(id);
        self.pump_past();
    }

    fn gives(&self, seq: Seq) -> bool {
        given(&self.window, &self.kept, &self.past, seq).is_some() && !self.withheld.has(seq)
    }

    /// Sends what guests are owed as far as it fits and their pace allows, one thing to each in turn and first to those that have
    /// just come, while nobody whom this node feeds is kept waiting.
    pub(crate) fn pump_past(&mut self) {
        self.guests.pace.note(self.counters.payload_sent, self.now);
        if !self.owed().any(|(_, link)| link.past.is_owed()) || self.is_anybody_kept_waiting() {
            return;
        }
        let mut held_up = Vec::new();
        loop {
            let owed = self.owed().filter(|(id, link)| link.past.is_owed() && !held_up.contains(id));
            let pace = &self.guests.pace;
            let next =
                owed.map(|(id, link)| (!pace.is_first(link.past.given), link.past.turn, id, link.past.given)).min();
            let Some((_, _, id, given)) = next else { return };
            if let Some(due) = pace.due(given, self.now) {
                return self.wake_by(due);
            }
            if !self.give_next(id) {
                held_up.push(id);
            }
        }
    }

    /// Sends one thing that a guest is owed; false when it is owed nothing or nothing fits.
    fn give_next(&mut self, id: LinkId) -> bool {
        let now = self.now;
        let Some(link) = self.links.get_mut(&id) else { return false };
        let Some(&seq) = link.past.owed.front() else { return false };
        let kept = given(&self.window, &self.kept, &self.past, seq).filter(|_| !self.withheld.has(seq));
        let Some(segment) = kept else {
            link.past.pass();
            self.counters.past_refused += 1;
            let gone = PeerMessage::NotKept { from: seq, until: seq.next() };
            self.counters.overhead_sent += link.say(id, &gone, now, &mut self.out);
            return true;
        };
        let init = self.inits.encoded(segment.header.core.init);
        let before = self.counters.past_sent;
        let mut sender = Sender { id, init, now, counters: &mut self.counters };
        if !sender.send_next(segment, link, &mut self.out) {
            return false;
        }
        link.past.given += self.counters.past_sent - before;
        self.guests.turns += 1;
        link.past.turn = self.guests.turns;
        self.guests.pace.note(self.counters.payload_sent, now);
        true
    }

    fn is_anybody_kept_waiting(&mut self) -> bool {
        let (window, position) = (&self.window, self.position);
        let mut feeds = self.links.values_mut().filter_map(|link| link.feed.as_mut());
        feeds.any(|feed| feed.next(window, position).is_some())
    }

    /// Forgets guests that do not ask any more; those beyond what this node may send, as children have come, have to go.
    pub(crate) fn look_after_guests(&mut self) {
        if self.guests.all.len() > 0 {
            self.set_pace();
        }
        while self.copies_fed() + self.guests_given() > self.copies_max() && self.send_a_guest_away() {}
        let now = self.now;
        let gone = |guest: &Guest| now.since(guest.heard) >= GUEST_GONE;
        let Self { guests, reconciler, past, .. } = self;
        guests.all.retain(|peer, guest| {
            if gone(guest) && !past.relies_on(*peer) {
                reconciler.dismiss(*peer);
            }
            !gone(guest)
        });
    }

    /// The guest that came last is not sent what it is owed; false when there is none.
    fn send_a_guest_away(&mut self) -> bool {
        let takers = self.guests.all.iter().filter(|(peer, guest)| self.takes(**peer, guest));
        let Some(peer) = takers.max_by_key(|(_, guest)| guest.named).map(|(peer, _)| *peer) else { return false };
        if let Some(guest) = self.guests.all.get_mut(&peer) {
            guest.given = None;
        }
        let Some((id, link)) = self.links.iter_mut().find(|(_, link)| link.peer == peer) else { return true };
        let owed = std::mem::take(&mut link.past).owed;
        self.counters.past_refused += owed.len() as u64;
        if let (Some(from), Some(last)) = (owed.iter().min().copied(), owed.iter().max()) {
            let refused = PeerMessage::NotKept { from, until: last.next() };
            self.counters.overhead_sent += link.say(*id, &refused, self.now, &mut self.out);
        }
        true
    }

    /// Whether this peer is a guest here.
    pub(crate) fn hosts(&self, peer: NodeId) -> bool {
        self.guests.all.contains_key(&peer)
    }

    /// A new epoch: all links have gone.
    pub(crate) fn forget_guests(&mut self) {
        self.guests.all.clear();
    }
}

/// A whole segment of what a node has received itself, or fetched for its viewer.
fn given<'a>(window: &'a Window, kept: &'a Store, past: &'a Past, seq: Seq) -> Option<&'a Segment> {
    let is_whole = |segment: &&Segment| segment.is_complete();
    let received = window.get(seq).filter(is_whole).or_else(|| kept.get(seq));
    received.or_else(|| past.fetched(seq).filter(is_whole))
}

struct Sender<'a> {
    id: LinkId,
    init: Option<&'a [u8]>,
    now: Micros,
    counters: &'a mut crate::Counters,
}

impl Sender<'_> {
    /// Sends one thing of a segment; false when it does not fit.
    fn send_next(&mut self, segment: &Segment, link: &mut Link, out: &mut VecDeque<Output>) -> bool {
        let core = &segment.header.core;
        if !link.past.header {
            return self.send_header(segment, link, out);
        }
        let index = link.past.piece;
        let Some(frame) = segment.frame(index) else {
            link.past.pass();
            return true;
        };
        if !link.spend(frame.len(), self.now) {
            return false;
        }
        let payload = (frame.len() - PIECE_PREFIX) as u64;
        self.counters.payload_sent += payload;
        self.counters.past_sent += payload;
        self.counters.overhead_sent += PIECE_PREFIX as u64;
        out.push_back(Output::Send(self.id, Lane::Pieces, Payload::Piece { seq: core.seq, index }));
        link.past.piece = index.saturating_add(1);
        if usize::from(index) + 1 >= core.piece_count() {
            link.past.pass();
        }
        true
    }

    fn send_header(&mut self, segment: &Segment, link: &mut Link, out: &mut VecDeque<Output>) -> bool {
        let core = &segment.header.core;
        let init_is_new = core.init != InitId::NONE && link.past.init != core.init;
        let init = self.init.filter(|_| init_is_new).map(|init| PeerMessage::Init(init.to_vec()).encode());
        let frames: Vec<_> = init.into_iter().chain([encode_header(&segment.header)]).collect();
        let len: usize = frames.iter().map(Vec::len).sum();
        if !link.spend(len, self.now) {
            return false;
        }
        self.counters.overhead_sent += len as u64;
        out.extend(frames.into_iter().map(|bytes| Output::Send(self.id, Lane::Pieces, Payload::Bytes(bytes))));
        (link.past.init, link.past.header) = (core.init, true);
        if core.piece_count() == 0 {
            link.past.pass();
        }
        true
    }
}
