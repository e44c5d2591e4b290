//! Feeding others: answering wants, and sending what they are owed as far as credit goes.

use peerstream_protocol::crypto::Verifier;
use peerstream_protocol::frame::{Lane, PIECE_PREFIX, PeerMessage, Refusal, Want, encode_header};
use peerstream_protocol::id::{NodeId, Seq, Stripes};
use peerstream_protocol::segment::InitId;
use peerstream_protocol::time::Micros;

use crate::feed::{Feed, Next};
use crate::io::{LinkId, Output, Payload};
use crate::link::Link;
use crate::node::Node;

/// A want that cannot be answered yet waits this long.
const HOLD_MAX: Micros = Micros::from_secs(2);
/// A node that was helped is helped on for this long when the assignment has changed: no longer than a release may last.
const LINGER: Micros = Micros::from_secs(2);
/// A node that takes a copy and has not said a word for this long makes room for one that asks in need.
const TAKER_SILENT_MAX: Micros = Micros::from_millis(450);
/// While one has not said a word for this long, who asks in need waits for what becomes of it: takers speak every 200 ms.
const TAKER_SUSPECT: Micros = Micros::from_millis(250);
/// Repairs under way at once.
const REPAIRS_MAX: usize = 4;
/// A repair may ask for this many segments.
const REPAIR_SEGMENTS_MAX: u64 = 128;

impl<V: Verifier> Node<V> {
    /// Copies this node may send at once: its children and one spare.
    pub(crate) fn copies_max(&self) -> usize {
        if self.offers_to_relay() { usize::from(self.capacity) + 1 } else { 0 }
    }

    pub(crate) fn on_want(&mut self, id: LinkId, want: Want) {
        let now = self.now;
        let Some(link) = self.links.get_mut(&id) else { return };
        if !link.may_want(now) {
            self.counters.refused += 1;
            return self.blame(id, 1);
        }
        match want.until {
            Some(until) => self.begin_repair(id, want, until),
            None => {
                self.begin_feed(id, want, now);
                // Whoever asks in need hears at once that somebody is here, even if there is nothing to send yet.
                self.speak(id);
            }
        }
        self.pump();
    }

    fn begin_repair(&mut self, id: LinkId, want: Want, until: Seq) {
        let from = match want.from {
            peerstream_protocol::frame::Resume::Seq(seq) => seq,
            peerstream_protocol::frame::Resume::JoinPoint => return,
        };
        let small = from < until && until.0 - from.0 <= REPAIR_SEGMENTS_MAX;
        let repairing = self.links.values().filter(|link| link.repair.is_some()).count();
        let Some(link) = self.links.get_mut(&id) else { return };
        if !small || !self.relay || !self.reconciler.names(link.peer) || repairing >= REPAIRS_MAX {
            self.counters.refused += 1;
            return;
        }
        link.repair = Some(Feed::new(&want, &self.window));
        self.note_owed(id);
    }

    /// Answers a want for a feed now, later, or not at all.
    fn begin_feed(&mut self, id: LinkId, want: Want, asked: Micros) {
        let Some(peer) = self.links.get(&id).map(|link| link.peer) else { return };
        let (now, state, stripes) = (self.now, self.reconciler.link(peer), want.stripes);
        let is_child = self.reconciler.of_child(peer).contains(stripes);
        // Who asks in need has others to ask; who comes to stay waits for its place.
        let in_need = self.reconciler.rescues(peer) && !is_child;
        if in_need && state.fed_by_me.is_empty() && !self.has_room(peer, stripes) {
            self.drop_a_silent_taker();
        }
        let room = self.has_room(peer, stripes) || self.make_room_for(peer, stripes);
        if state.feeds_me.meets(stripes) && !is_child {
            return self.refuse_new(id, stripes, Refusal::FedByYou);
        }
        if room && self.reconciler.may_feed(peer, stripes) {
            self.reconciler.link_mut(peer).fed_by_me = stripes;
            let feed = Feed::new(&want, &self.window);
            if let Some(link) = self.links.get_mut(&id) {
                (link.feed, link.held, link.init_out) = (Some(feed), None, InitId::NONE);
                (link.feeding, link.warm) = (now, false);
            }
            self.note_owed(id);
            return self.report_soon();
        }
        let of_child = self.reconciler.of_child(peer).and(stripes);
        if in_need && !room && !of_child.is_empty() {
            // What it shall get anyway does not hang on what it asks for in need.
            self.refuse(id, stripes.without(of_child), Refusal::Full);
            return self.begin_feed(id, Want { stripes: of_child, ..want }, asked);
        }
        if self.now.since(asked) < HOLD_MAX && (room || !in_need || self.may_lose_a_taker()) {
            if let Some(link) = self.links.get_mut(&id) {
                let first_asked = link.held.take().map_or(asked, |(_, at)| at.min(asked));
                link.held = Some((want, first_asked));
            }
            return self.note_owed(id);
        }
        self.refuse_new(id, stripes, if room { Refusal::Stranger } else { Refusal::Full });
    }

    /// Refuses a want. What the peer is sent of other stripes it goes on being sent.
    fn refuse_new(&mut self, id: LinkId, stripes: Stripes, why: Refusal) {
        let Some(link) = self.links.get_mut(&id) else { return };
        link.held = None;
        let peer = link.peer;
        let refused = stripes.without(self.reconciler.link(peer).fed_by_me);
        if refused.is_empty() {
            self.stop_feed(peer, stripes, true);
        } else {
            self.refuse(id, refused, why);
        }
    }

    /// Whether these stripes, instead of those that the peer is sent now, are within what this node may send.
    fn has_room(&self, peer: NodeId, stripes: Stripes) -> bool {
        let of_peer = self.reconciler.link(peer).fed_by_me;
        let others = self.reconciler.stripes_out() - of_peer.count();
        of_peer.contains(stripes) || others + stripes.count() <= self.copies_max() * usize::from(Stripes::COUNT)
    }

    /// An assigned child comes before those that were helped out: the newest of these have to go.
    fn make_room_for(&mut self, peer: NodeId, stripes: Stripes) -> bool {
        let comes_to_stay = self.reconciler.of_child(peer).contains(stripes) && self.reconciler.may_feed(peer, stripes);
        if self.copies_max() == 0 || !comes_to_stay {
            return false;
        }
        while !self.has_room(peer, stripes) {
            let beyond = |fed: NodeId| self.reconciler.link(fed).fed_by_me.without(self.reconciler.of_child(fed));
            let helped = self.reconciler.fed().map(|fed| (fed, beyond(fed))).filter(|(_, beyond)| !beyond.is_empty());
            let Some((helped, beyond)) = helped.last() else { return false };
            self.stop_feed(helped, beyond, true);
        }
        true
    }

    /// When many vanish at once, those who ask in need must not wait until the copies of the dead are seen to be lost.
    fn drop_a_silent_taker(&mut self) {
        let now = self.now;
        let taker = self.links.values().filter(|link| self.is_taker(link));
        let silent = taker.filter(|link| now.since(link.heard) >= TAKER_SILENT_MAX).min_by_key(|link| link.heard);
        if let Some(peer) = silent.map(|link| link.peer) {
            self.stop_feed(peer, Stripes::ALL, true);
        }
    }

    fn is_taker(&self, link: &Link) -> bool {
        !self.reconciler.link(link.peer).fed_by_me.is_empty()
    }

    /// Whether somebody who takes a copy may have vanished.
    fn may_lose_a_taker(&self) -> bool {
        let mut takers = self.links.values().filter(|link| self.is_taker(link));
        self.copies_max() > 0 && takers.any(|link| self.now.since(link.heard) >= TAKER_SUSPECT)
    }

    fn refuse(&mut self, id: LinkId, stripes: Stripes, why: Refusal) {
        let now = self.now;
        self.counters.refused += 1;
        if let Some(link) = self.links.get_mut(&id) {
            let refused = PeerMessage::Refused(stripes, why);
            self.counters.overhead_sent += link.say(id, &refused, now, &mut self.out);
        }
    }

    /// Looks again at the wants that wait.
    fn retry_held(&mut self) {
        let held: Vec<_> = self.owed().filter(|(_, link)| link.held.is_some()).map(|(id, _)| id).collect();
        for id in held {
            if let Some((want, asked)) = self.links.get_mut(&id).and_then(|link| link.held.take()) {
                self.begin_feed(id, want, asked);
            }
        }
    }

    pub(crate) fn on_unwant(&mut self, id: LinkId, stripes: Stripes) {
        if let Some(peer) = self.links.get(&id).map(|link| link.peer) {
            self.stop_feed(peer, stripes, false);
        }
    }

    /// Takes these stripes out of a feed; a peer that did not ask for that is told.
    pub(crate) fn stop_feed(&mut self, peer: NodeId, stripes: Stripes, tell: bool) {
        let state = self.reconciler.link_mut(peer);
        let rest = state.fed_by_me.without(stripes);
        state.fed_by_me = rest;
        let id = self.link_with(peer).map(|(id, _)| id);
        if let Some(link) = id.and_then(|id| self.links.get_mut(&id)) {
            link.held = link.held.take().and_then(|(mut want, asked)| {
                want.stripes = want.stripes.without(stripes);
                (!want.stripes.is_empty()).then_some((want, asked))
            });
            match &mut link.feed {
                Some(feed) if rest.meets(feed.stripes()) => feed.keep(rest),
                feed => *feed = None,
            }
        }
        if let (Some(id), true) = (id, tell) {
            self.refuse(id, stripes, Refusal::Stranger);
        }
        self.report_soon();
    }

    /// Who was helped and is not named any more is helped a little longer: its new parent has yet to feed it.
    pub(crate) fn begin_lingering(&mut self) {
        let until = self.now + LINGER;
        for peer in self.reconciler.lingering() {
            self.lingers.get_or_insert_with(peer, || until);
        }
    }

    /// Ends what has lingered long enough.
    pub(crate) fn end_lingering(&mut self) {
        let now = self.now;
        let reconciler = &mut self.reconciler;
        self.lingers.retain(|peer, until| {
            let fed = !reconciler.link(*peer).fed_by_me.is_empty();
            let stays = now < *until && fed && !reconciler.names(*peer);
            if !stays {
                reconciler.end_lingering(*peer);
            }
            stays
        });
    }

    pub(crate) fn stop_all_feeds(&mut self) {
        let fed: Vec<_> = self.reconciler.fed().collect();
        fed.into_iter().for_each(|peer| self.stop_feed(peer, Stripes::ALL, true));
        self.links.values_mut().for_each(|link| (link.repair, link.held, link.past) = (None, None, Default::default()));
    }

    pub(crate) fn on_writable(&mut self, id: LinkId, credit: u32) {
        let now = self.now;
        if let Some(link) = self.links.get_mut(&id) {
            link.credit = credit;
            self.counters.overhead_sent += link.flush(id, now, &mut self.out);
            self.pump();
        }
    }

    /// Something is owed over this link from now on.
    pub(crate) fn note_owed(&mut self, id: LinkId) {
        if let Err(at) = self.owed.binary_search(&id) {
            self.owed.insert(at, id);
        }
    }

    /// The links over which something may be owed, in order.
    pub(crate) fn owed(&self) -> impl Iterator<Item = (LinkId, &Link)> {
        self.owed.iter().filter_map(|id| Some((*id, self.links.get(id)?)))
    }

    /// Forgets the links over which nothing is owed any more.
    pub(crate) fn forget_paid(&mut self) {
        let links = &self.links;
        debug_assert!(
            links.iter().all(|(id, link)| !link.may_be_owed() || self.owed.contains(id)),
            "a debt is forgotten"
        );
        self.owed.retain(|id| links.get(id).is_some_and(Link::may_be_owed));
    }

    /// Sends what is owed and fits, one piece to each in turn, so that no child waits for another's whole segment. Whoever is
    /// helped out is sent something only while no child is held up.
    pub(crate) fn pump(&mut self) {
        if self.owed().any(|(_, link)| link.held.is_some()) {
            self.retry_held();
        }
        self.pump_to(true);
        // The spare copy is what the children leave: with a third one none of the three would catch up.
        if !self.children().any(|link| self.is_held_up(link)) {
            self.pump_to(false);
        }
        self.pump_past();
    }

    /// The same to the children, or to all others.
    fn pump_to(&mut self, children: bool) {
        let mut any = true;
        while any {
            any = false;
            let due = |link: &Link| link.is_owed() && self.reconciler.is_child(link.peer) == children;
            for id in &self.owed {
                let Some(link) = self.links.get_mut(id).filter(|link| due(link)) else { continue };
                let mut sender = Sender {
                    id: *id,
                    window: &self.window,
                    inits: &self.inits,
                    position: self.position,
                    now: self.now,
                };
                any |= sender.send_next(link, &mut self.counters, &mut self.out);
            }
        }
    }

    /// The node has given these segments up: nobody downstream is to wait for them.
    pub(crate) fn pass_on_gap(&mut self, from: Seq, to: Seq) {
        for (id, link) in self.links.iter_mut() {
            let Some(feed) = &mut link.feed else { continue };
            if let Some(Next::Gap(from, to)) = feed.give_up(from, to) {
                feed.on_sent(Next::Gap(from, to), &self.window);
                self.counters.feed_gaps += to.0 - from.0;
                let message = PeerMessage::Gap { from, to };
                self.counters.overhead_sent += link.say(*id, &message, self.now, &mut self.out);
            }
        }
    }
}

/// What sending on one link needs to see of the node.
struct Sender<'a> {
    id: LinkId,
    window: &'a crate::window::Window,
    inits: &'a crate::inits::Inits,
    position: Option<Seq>,
    now: Micros,
}

impl Sender<'_> {
    /// Sends one thing over a link, repairs first; false when nothing is owed or nothing fits.
    fn send_next(&mut self, link: &mut Link, counters: &mut crate::Counters, out: &mut Outbox) -> bool {
        if link.repair.as_ref().is_some_and(Feed::is_done) {
            link.repair = None;
        }
        for repair in [true, false] {
            let slot = if repair { &mut link.repair } else { &mut link.feed };
            let Some(next) = slot.as_mut().and_then(|feed| feed.next(self.window, self.position)) else { continue };
            if !self.send(next, link, counters, out) {
                return false;
            }
            let slot = if repair { &mut link.repair } else { &mut link.feed };
            if let Some(feed) = slot {
                feed.on_sent(next, self.window);
            }
            return true;
        }
        false
    }

    fn send(&self, next: Next, link: &mut Link, counters: &mut crate::Counters, out: &mut Outbox) -> bool {
        match next {
            Next::Piece(seq, index) => self.send_piece(seq, index, link, counters, out),
            Next::Header(seq) => self.send_header(seq, link, counters, out),
            Next::Gap(from, to) => {
                counters.feed_gaps += to.0 - from.0;
                counters.overhead_sent += link.say(self.id, &PeerMessage::Gap { from, to }, self.now, out);
                true
            }
        }
    }

    fn send_piece(
        &self,
        seq: Seq,
        index: u8,
        link: &mut Link,
        counters: &mut crate::Counters,
        out: &mut Outbox,
    ) -> bool {
        let Some(frame) = self.window.get(seq).and_then(|segment| segment.frame(index)) else { return false };
        let fits = link.spend(frame.len(), self.now);
        if fits {
            counters.payload_sent += (frame.len() - PIECE_PREFIX) as u64;
            counters.overhead_sent += PIECE_PREFIX as u64;
            out.push_back(Output::Send(self.id, Lane::Pieces, Payload::Piece { seq, index }));
        }
        fits
    }

    /// A header goes on the lane of its pieces and before them, so that the peer can check each as it comes; and after its
    /// init, when the feed has not carried that yet.
    fn send_header(&self, seq: Seq, link: &mut Link, counters: &mut crate::Counters, out: &mut Outbox) -> bool {
        let Some(header) = self.window.get(seq).map(|segment| &segment.header) else { return false };
        let init_is_new = header.core.init != InitId::NONE && link.init_out != header.core.init;
        let init = init_is_new.then(|| self.inits.encoded(header.core.init)).flatten();
        let mut frames: Vec<Vec<u8>> = init.map(|init| PeerMessage::Init(init.to_vec()).encode()).into_iter().collect();
        frames.push(encode_header(header));
        let len: usize = frames.iter().map(Vec::len).sum();
        if !link.spend(len, self.now) {
            return false;
        }
        link.init_out = header.core.init;
        counters.overhead_sent += len as u64;
        out.extend(frames.into_iter().map(|bytes| Output::Send(self.id, Lane::Pieces, Payload::Bytes(bytes))));
        true
    }
}

type Outbox = std::collections::VecDeque<Output>;
