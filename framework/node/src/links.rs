//! Setting links up, keeping them alive, and taking them down.

use peerstream_protocol::control::{Role, Up};
use peerstream_protocol::crypto::Verifier;
use peerstream_protocol::frame::PeerMessage;
use peerstream_protocol::id::{NodeId, Stripes};
use peerstream_protocol::time::Micros;

use crate::io::{LinkId, Output, Side};
use crate::link::Link;
use crate::node::Node;
use crate::reconciler::Action;

/// Links at most, whatever state they are in.
const LINKS_MAX: usize = 64;
/// Links at most that the assignment does not (yet) name.
const STRANGERS_MAX: usize = 8;
/// A link that the assignment does not name is closed after this long.
const STRANGER_MAX: Micros = Micros::from_secs(5);
/// A side that waits for an offer gives up after this long.
const OFFER_WAIT_MAX: Micros = Micros::from_secs(12);
/// An offer that has not been answered for this long is made again, so many times in all: it or its answer may have been
/// lost with somebody's control connection.
const ANSWER_MAX: Micros = Micros::from_secs(2);
const OFFERS_MAX: u8 = 3;
/// Whoever may come to depend on this node hears of it at least this often; a parent, who wants to know whether its copy is
/// still of use, a little less; standbys, who need not, seldom.
const SPEAK_EVERY: Micros = Micros::from_millis(150);
const SPEAK_UP_EVERY: Micros = Micros::from_millis(200);
const SPEAK_SELDOM_EVERY: Micros = Micros::from_secs(1);
/// Round trips are measured this often until one is known, and then.
const PING_FIRST_EVERY: Micros = Micros::from_secs(1);
const PING_EVERY: Micros = Micros::from_secs(5);
/// Silence that makes a peer suspect on which this node depends, if twice L is not more, and how often that is said again.
const SUSPECT_AFTER: Micros = Micros::from_millis(300);
const SUSPECT_AGAIN: Micros = Micros::from_millis(500);
/// The same for peers that say little.
const SUSPECT_SELDOM_AFTER: Micros = Micros::from_millis(2_500);
/// A source that has said nothing for this long since a new reign began has begun anew itself: it stands beside the
/// coordinator.
const SOURCE_MUTE: Micros = Micros::from_millis(1_500);
/// A peer that was cut off is not linked with for this long.
const BANNED: Micros = Micros::from_secs(30);
/// A failed link is tried again after this long.
const RETRY_LINK: Micros = Micros::from_secs(1);

impl<V: Verifier> Node<V> {
    pub(crate) fn link_with(&self, peer: NodeId) -> Option<(LinkId, &Link)> {
        self.links.iter().find(|(_, link)| link.peer == peer).map(|(id, link)| (*id, link))
    }

    /// Carries out the reconciler's steps.
    pub(crate) fn reconcile(&mut self) {
        while let Some(action) = self.reconciler.step() {
            match action {
                Action::Connect(peer) => self.connect(peer),
                Action::Want(peer, stripes) => self.ask_for_feed(peer, stripes),
                Action::Release(peer, stripes) => self.release(peer, stripes),
                Action::Drop(peer, stripes) => self.stop_feed(peer, stripes, true),
                Action::Close(peer) => self.close_link_with(peer, true),
            }
        }
    }

    /// The node with the larger id offers; the other one waits for the offer.
    pub(crate) fn connect(&mut self, peer: NodeId) {
        self.connect_again(peer, 0);
    }

    /// The same after so many offers.
    fn connect_again(&mut self, peer: NodeId, offered: u8) {
        self.reconciler.link_mut(peer);
        if self.links.len() >= LINKS_MAX || self.is_banned(peer) || self.playout.linkless {
            self.lost.insert(peer, self.now);
            return;
        }
        let offers = self.id.is_some_and(|id| id > peer);
        let attempt = if offers { self.chance.u32() | 1 } else { 0 };
        let mut link = Link::new(peer, attempt, self.now);
        link.offers = offered + 1;
        let id = self.add_link(link);
        if offers {
            self.out.push_back(Output::Open(id, peer, Side::Offer));
        }
    }

    /// Makes an offer once more that nobody answers.
    fn offer_again(&mut self, id: LinkId) {
        let Some(link) = self.links.get(&id) else { return };
        let unanswered = !link.open && link.attempt != 0 && !link.answered && link.offers < OFFERS_MAX;
        if unanswered
            && self.reconciler.names(link.peer)
            && self.control.is_welcomed()
            && self.now.since(link.created) > ANSWER_MAX
        {
            let (peer, offers) = (link.peer, link.offers);
            self.close_link_with(peer, true);
            self.connect_again(peer, offers);
        }
    }

    pub(crate) fn is_banned(&self, peer: NodeId) -> bool {
        self.banned.get(&peer).is_some_and(|until| self.now < *until)
    }

    fn add_link(&mut self, link: Link) -> LinkId {
        self.links_opened += 1;
        let id = LinkId(self.links_opened);
        self.links.insert(id, link);
        id
    }

    /// The transport has something for the other side.
    pub(crate) fn on_link_signal(&mut self, id: LinkId, payload: &[u8]) {
        if let Some(link) = self.links.get(&id) {
            let (to, attempt) = (link.peer, link.attempt);
            self.tell(&Up::Signal { to, attempt, payload: payload.to_vec() });
        }
    }

    /// The other side has something for the transport.
    pub(crate) fn on_signal(&mut self, from: NodeId, attempt: u32, payload: Vec<u8>) {
        let known = self.links.iter_mut().find(|(_, link)| link.peer == from && link.attempt == attempt);
        if let Some((id, link)) = known {
            link.answered = true;
            return self.out.push_back(Output::Signal(*id, payload));
        }
        let Some(id) = self.answer(from, attempt) else {
            self.counters.stray_signals += 1;
            return;
        };
        self.out.push_back(Output::Open(id, from, Side::Answer));
        self.out.push_back(Output::Signal(id, payload));
    }

    /// Makes a link for an offer, in place of an older attempt.
    fn answer(&mut self, from: NodeId, attempt: u32) -> Option<LinkId> {
        let answers = attempt != 0 && self.id.is_some_and(|id| id < from);
        let invited = |peer: NodeId| self.reconciler.names(peer) || self.reconciler.is_guest(peer);
        let strangers = self.links.values().filter(|link| !invited(link.peer)).count();
        if self.is_banned(from)
            || self.playout.linkless
            || !answers
            || self.links.len() >= LINKS_MAX
            || (!invited(from) && strangers >= STRANGERS_MAX)
        {
            return None;
        }
        if self.link_with(from).is_some() {
            self.close_link_with(from, true);
        }
        self.lost.remove(&from);
        self.reconciler.link_mut(from);
        let mut link = Link::new(from, attempt, self.now);
        link.answered = true;
        Some(self.add_link(link))
    }

    pub(crate) fn on_link_up(&mut self, id: LinkId, credit: u32) {
        let now = self.now;
        let Some(link) = self.links.get_mut(&id) else { return };
        (link.open, link.credit, link.heard) = (true, credit, now);
        let peer = link.peer;
        self.reconciler.link_mut(peer).open = true;
        self.speak(id);
        self.report_soon();
    }

    /// A link ended or never opened.
    pub(crate) fn on_link_gone(&mut self, id: LinkId, was_open: bool) {
        let Some(link) = self.links.get(&id) else { return };
        let peer = link.peer;
        let named = self.reconciler.names(peer);
        self.remove_link(id);
        self.report_soon();
        // A link that was open ends because the other side closed it, or after a silence that was told long before.
        if named && !was_open {
            self.tell(&Up::LinkFailed(peer));
            self.try_again_later(peer);
        }
    }

    /// Until the pause is over the reconciler believes that there is a link.
    fn try_again_later(&mut self, peer: NodeId) {
        self.reconciler.link_mut(peer);
        self.lost.insert(peer, self.now);
    }

    fn remove_link(&mut self, id: LinkId) {
        if let Some(link) = self.links.remove(&id) {
            self.reconciler.forget(link.peer);
            self.orphans.forget(id);
            self.pressing = true;
        }
    }

    pub(crate) fn close_link_with(&mut self, peer: NodeId, tell_transport: bool) {
        let id = self.link_with(peer).map(|(id, _)| id);
        if let Some(id) = id {
            if tell_transport {
                self.out.push_back(Output::Close(id));
            }
            self.remove_link(id);
            self.report_soon();
        }
        self.reconciler.forget(peer);
    }

    pub(crate) fn close_all_links(&mut self) {
        let ids: Vec<_> = self.links.keys().copied().collect();
        for id in ids {
            self.out.push_back(Output::Close(id));
            self.remove_link(id);
        }
    }

    /// A peer has broken the rules once too often.
    pub(crate) fn cut_off(&mut self, id: LinkId) {
        if let Some(link) = self.links.get(&id) {
            let peer = link.peer;
            self.counters.cut_off += 1;
            self.banned.insert(peer, self.now + BANNED);
            self.out.push_back(Output::Close(id));
            self.remove_link(id);
            self.tell(&Up::LinkFailed(peer));
            self.try_again_later(peer);
        }
    }

    /// Counts an offence of this weight; the peer may be cut off for it.
    pub(crate) fn blame(&mut self, id: LinkId, weight: u32) {
        let now = self.now;
        if self.links.get_mut(&id).is_some_and(|link| link.on_offence(weight, now)) {
            self.cut_off(id);
        }
    }

    /// Tells the peer this node's position in each course; any frame also says that it lives.
    pub(crate) fn speak(&mut self, id: LinkId) {
        let now = self.now;
        if let Some(link) = self.links.get_mut(&id).filter(|link| link.open) {
            for course in &self.courses {
                let progress = PeerMessage::Progress(course.stripes, course.position());
                self.counters.overhead_sent += link.say(id, &progress, now, &mut self.out);
            }
        }
    }

    pub(crate) fn look_after_links(&mut self) {
        let ids: Vec<_> = self.links.keys().copied().collect();
        for id in ids {
            self.keep_alive(id);
            self.watch_silence(id);
            self.end_overdue(id);
            self.offer_again(id);
        }
        self.retry_links();
    }

    fn keep_alive(&mut self, id: LinkId) {
        let now = self.now;
        let Some(link) = self.links.get_mut(&id).filter(|link| link.open) else { return };
        let every = if link.round_trip.is_some() { PING_EVERY } else { PING_FIRST_EVERY };
        if link.is_ping_due(every, now) {
            let ping = link.ping(self.chance.u32(), now);
            self.counters.overhead_sent += link.say(id, &ping, now, &mut self.out);
        }
        let wanted = !self.reconciler.link(link.peer).wanted.is_empty();
        let every = match (self.reconciler.depends(link.peer), wanted) {
            (true, _) => SPEAK_EVERY,
            (false, true) => SPEAK_UP_EVERY,
            (false, false) => SPEAK_SELDOM_EVERY,
        };
        if now.since(link.spoke) >= every {
            self.speak(id);
        }
    }

    /// When to say a word to those who are fed a part of the stream: its pieces alone are too seldom to be a sign of life.
    pub(crate) fn speaking_due(&self) -> Option<Micros> {
        let partly = |link: &&Link| link.feed.as_ref().is_some_and(|feed| feed.stripes() != Stripes::ALL);
        let due = self.links.values().filter(|link| link.open).filter(partly).map(|link| link.spoke + SPEAK_EVERY);
        // What is due already waits for credit.
        due.filter(|at| *at > self.now).min()
    }

    /// How long a peer may be silent before it is suspect.
    fn silence_max(&self, peer: NodeId) -> Micros {
        let least = if self.reconciler.relies_on(peer) { SUSPECT_AFTER } else { SUSPECT_SELDOM_AFTER };
        least.max(Micros(self.latency.hop().0 * 2))
    }

    /// When the silence of a peer becomes suspect.
    pub(crate) fn silence_due(&self) -> Option<Micros> {
        let relied = self.links.values().filter(|link| link.open && self.reconciler.relies_on(link.peer));
        relied
            .map(|link| link.suspected.map_or(link.heard + self.silence_max(link.peer), |at| at + SUSPECT_AGAIN))
            .min()
    }

    fn watch_silence(&mut self, id: LinkId) {
        let now = self.now;
        let Some(link) = self.links.get(&id).filter(|link| link.open) else { return };
        let peer = link.peer;
        let said = link.suspected.is_some_and(|at| now.since(at) < SUSPECT_AGAIN);
        let mute = link.is_mute(now) && self.reconciler.helpers().any(|helper| helper == peer);
        let max = if mute { SUSPECT_AFTER.max(Micros(self.latency.hop().0 * 2)) } else { self.silence_max(peer) };
        if said || now.since(link.heard) < max {
            return;
        }
        if let Some(link) = self.links.get_mut(&id) {
            link.suspected = Some(now);
        }
        if self.reconciler.names(peer) {
            self.tell_suspect(peer);
        }
    }

    fn end_overdue(&mut self, id: LinkId) {
        let Some(link) = self.links.get(&id) else { return };
        let (peer, age) = (link.peer, self.now.since(link.created));
        let state = self.reconciler.link(peer);
        let invited = self.reconciler.names(peer) || self.reconciler.is_guest(peer);
        let stranger = !invited && state.feeds_me.with(state.fed_by_me).is_empty();
        if (stranger && age > STRANGER_MAX) || self.is_of_an_ended_source(link) {
            self.close_link_with(peer, true);
        } else if !link.open && link.attempt == 0 && age > OFFER_WAIT_MAX {
            self.on_link_gone(id, false);
        }
    }

    /// Whether the source at the other end is gone together with the coordinator of before. The transport finds out seconds later.
    fn is_of_an_ended_source(&self, link: &Link) -> bool {
        let mute = |begun| link.heard < begun && self.now.since(begun) >= SOURCE_MUTE;
        link.open && link.peer == NodeId::SOURCE && self.control.term_begun().is_some_and(mute)
    }

    /// Forgets failures after a pause, so that the reconciler tries again.
    fn retry_links(&mut self) {
        let now = self.now;
        self.banned.retain(|_, until| now < *until);
        let reconciler = &mut self.reconciler;
        self.lost.retain(|peer, at| {
            let waits = now.since(*at) < RETRY_LINK && reconciler.names(*peer);
            if !waits {
                reconciler.forget(*peer);
            }
            waits
        });
    }

    /// Takes the want of these stripes back, or stops hoping for its answer.
    pub(crate) fn release(&mut self, peer: NodeId, stripes: Stripes) {
        let now = self.now;
        let state = self.reconciler.link_mut(peer);
        state.end_feed(stripes);
        let nothing_left = state.wanted.is_empty();
        let id = self.link_with(peer).map(|(id, _)| id);
        if let Some((id, link)) = id.and_then(|id| self.links.get_mut(&id).map(|link| (id, link))) {
            if nothing_left {
                link.on_feed_ended(now);
            }
            self.counters.overhead_sent += link.say(id, &PeerMessage::Unwant(stripes), now, &mut self.out);
        }
        self.report_soon();
    }

    /// Whether this node plays or relays what others send.
    pub(crate) fn is_receiver(&self) -> bool {
        self.role != Role::Source
    }
}
