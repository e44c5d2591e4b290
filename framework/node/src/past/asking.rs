//! Who is asked for what is past: another viewer that keeps it, as the coordinator names it, a second one while the first does not
//! keep up, and then the host.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use peerstream_protocol::control::{BUT_MAX, Up};
use peerstream_protocol::crypto::Verifier;
use peerstream_protocol::frame::{PAST_SEGMENTS_MAX, PeerMessage};
use peerstream_protocol::id::{NodeId, Seq};
use peerstream_protocol::time::Micros;

use super::{Ask, CAUGHT_UP, Entered, Keeper, SHORT};
use crate::io::{LinkId, Output};
use crate::node::Node;

/// Keepers at once: the one that gives, and another while that does not keep up.
const KEEPERS_MAX: usize = 2;
/// A keeper that failed is not wanted again for this long.
const FAILED_FOR: Micros = Micros::from_secs(10);
/// A keeper that was not asked for this long, as another one gives all, is let go.
const UNUSED_MAX: Micros = Micros::from_secs(5);
/// So much more than the player was handed is fetched.
const FETCH_AHEAD: Micros = Micros::from_secs(6);
/// Segments fetched ahead, at least and at most.
const FETCH_SEGMENTS: (u64, u64) = (2, 64);
/// Bytes fetched and not handed to the player; beyond it nothing more is asked for.
const FETCHED_BYTES_MAX: usize = 16 * 1024 * 1024;
/// One keeper is asked for so many segments at once.
const RUN_MAX: u64 = 8;
/// Segments that one keeper may owe.
const UNDER_WAY_MAX: usize = 16;
/// A keeper that has sent nothing for this long is late with what it owes.
const KEEPER_LATE: Micros = Micros::from_secs(2);
/// And it is late with a segment after this long, whatever else it sends.
const SEGMENT_LATE: Micros = Micros::from_secs(6);
/// A keeper that has refused, or was late, and gave nothing for this long has failed; at once while the viewer is short.
const VAIN_MAX: Micros = Micros::from_secs(3);
/// A link to a keeper has so long to open.
const KEEPER_OPENS: Micros = Micros::from_secs(5);
/// The coordinator is asked again after this long when it knew nobody, or did not answer.
const ASK_EVERY: Micros = Micros::from_millis(1_200);
/// And after this long when the one that it named failed.
const ASK_AGAIN: Micros = Micros::from_millis(500);
/// After being short for this long the viewer asks a second keeper, and the host for what keepers have not sent.
const PATIENCE: Micros = Micros::from_millis(1_500);
/// The host is asked after twice that while a keeper has sent something within this time.
const GIVES: Micros = Micros::from_secs(1);
/// While nobody is known who keeps it, the host is asked with less than this in store.
const HOST_STORE: Micros = Micros::from_secs(2);
/// It is asked for so much at once, which is time enough to ask for a keeper again.
const HOST_SPAN: Micros = Micros::from_secs(4);
/// But for so many segments, at least and at most.
const HOST_SEGMENTS: (u64, u64) = (2, 32);
/// The host has so long to send something.
const HOST_STALLED: Micros = Micros::from_secs(8);

impl Keeper {
    /// Whether it may be asked for more while it owes so many segments: one that has refused is to give first what it owes.
    fn takes_more(&self, owed: usize) -> bool {
        owed < UNDER_WAY_MAX && (self.vain.is_none() || owed == 0)
    }
}

impl<V: Verifier> Node<V> {
    /// The coordinator names a node that keeps what was asked for, or knows none.
    pub(crate) fn on_keeper(&mut self, keeper: Option<NodeId>) {
        self.past.answered = true;
        self.pressing = true;
        let full = self.past.keepers.len() >= KEEPERS_MAX || self.past.entered.is_none();
        let Some(peer) = keeper.filter(|peer| !full && Some(*peer) != self.id && !self.is_banned(*peer)) else {
            return;
        };
        if self.past.keepers.contains_key(&peer) {
            return;
        }
        self.past.ask_at = self.now + ASK_AGAIN;
        self.past.keepers.insert(peer, Keeper { since: self.now, asked: self.now, gave: None, vain: None });
        self.reconciler.invite(peer);
        if self.link_with(peer).is_none() {
            self.connect(peer);
        }
    }

    /// The keeper at the other end of a link.
    pub(super) fn keeper_at(&mut self, link: LinkId) -> Option<&mut Keeper> {
        let peer = self.links.get(&link)?.peer;
        self.past.keepers.get_mut(&peer)
    }

    /// Keepers whose links did not open or have gone, and those that are not needed any more.
    pub(super) fn forget_keepers(&mut self) {
        let now = self.now;
        self.past.failed.retain(|_, at| now.since(*at) < FAILED_FOR);
        let gone = self.past.keepers.iter().filter(|(peer, keeper)| !self.is_of_use(**peer, keeper));
        let gone: Vec<_> = gone.map(|(peer, _)| *peer).collect();
        gone.into_iter().for_each(|peer| self.on_keeper_failed(peer));
        let unused = self.past.keepers.iter().filter(|(_, keeper)| now.since(keeper.asked) >= UNUSED_MAX);
        let unused = unused.map(|(peer, _)| *peer).next();
        if let Some(peer) = unused.filter(|_| self.past.keepers.len() > 1) {
            self.dismiss_keeper(peer);
        }
    }

    fn is_of_use(&self, peer: NodeId, keeper: &Keeper) -> bool {
        match self.link_with(peer) {
            Some((_, link)) => link.open || self.now.since(keeper.since) < KEEPER_OPENS,
            None => false,
        }
    }

    /// Another one is asked instead.
    fn on_keeper_failed(&mut self, peer: NodeId) {
        if self.past.failed.len() >= BUT_MAX - KEEPERS_MAX {
            let oldest = self.past.failed.iter().min_by_key(|(_, at)| **at).map(|(peer, _)| *peer);
            oldest.and_then(|peer| self.past.failed.remove(&peer));
        }
        self.past.failed.insert(peer, self.now);
        self.dismiss_keeper(peer);
    }

    pub(super) fn dismiss_keeper(&mut self, peer: NodeId) {
        self.past.keepers.remove(&peer);
        if !self.hosts(peer) {
            self.reconciler.dismiss(peer);
        }
        // One that never opened is closed by nobody else.
        let is_pending = self.link_with(peer).is_some_and(|(_, link)| !link.open);
        if is_pending && !self.reconciler.names(peer) {
            self.close_link_with(peer, true);
        }
        self.pressing = true;
    }

    pub(super) fn dismiss_keepers(&mut self) {
        let all: Vec<_> = self.past.keepers.keys().copied().collect();
        all.into_iter().for_each(|peer| self.dismiss_keeper(peer));
        self.past.failed.clear();
        (self.past.ask_at, self.past.answered) = (self.now, false);
    }

    pub(super) fn forget_late_asks(&mut self) {
        let now = self.now;
        let Self { past, links, .. } = self;
        let Some(entered) = &mut past.entered else { return };
        let gave = |link: &LinkId| links.get(link).and_then(|link| past.keepers.get(&link.peer)).map(|it| it.gave);
        let late = entered.asked.iter().filter(|(_, ask)| match ask.of.map(|link| gave(&link)) {
            Some(Some(gave)) => {
                now.since(ask.at.max(gave.unwrap_or_default())) >= KEEPER_LATE || now.since(ask.at) >= SEGMENT_LATE
            }
            Some(None) => true,
            None => past.host.running.is_none(),
        });
        let late: Vec<_> = late.map(|(seq, ask)| (*seq, ask.of)).collect();
        late.iter().for_each(|(seq, _)| entered.in_vain(*seq, now));
        entered.forget_vain(now);
        let silent: BTreeSet<_> = late.into_iter().filter_map(|(_, of)| of).collect();
        silent.into_iter().for_each(|link| self.on_given_nothing(link));
        if self.past.host.running.is_some_and(|since| now.since(since) > HOST_STALLED) {
            self.out.push_back(Output::EndFetchPast);
            self.on_past_fetch_ended(false);
        }
    }

    /// A keeper refused all that it was asked for, or was late.
    pub(super) fn on_given_nothing(&mut self, link: LinkId) {
        let now = self.now;
        let Some(peer) = self.links.get(&link).map(|link| link.peer) else { return };
        let is_short = self.past.entered.as_ref().is_some_and(|entered| entered.ahead() < SHORT);
        let Some(keeper) = self.past.keepers.get_mut(&peer) else { return };
        let since = *keeper.vain.get_or_insert(now);
        if is_short || now.since(since) >= VAIN_MAX {
            self.on_keeper_failed(peer);
        }
    }

    /// The first segments from `seq` on, before `end`, that are missing and not asked for; `owed`: nor sent by whom they were asked of.
    fn missing(&self, entered: &Entered, seq: Seq, end: Seq, owed: bool) -> Option<(Seq, Seq)> {
        let open = |seq: &Seq| {
            let asked = !owed && entered.asked.contains_key(seq);
            !(asked || entered.lost.contains(seq) || self.withheld.has(*seq) || self.is_held_whole(*seq))
        };
        let first = (seq.0..end.0).map(Seq).find(open)?;
        let last = (first.0..end.0).map(Seq).take_while(open).last()?;
        Some((first, last.next()))
    }

    /// How far ahead of the player something is fetched.
    fn fetch_end(&self, entered: &Entered) -> Option<Seq> {
        let segments = (FETCH_AHEAD.0 / self.latency.segment().0.max(1)).clamp(FETCH_SEGMENTS.0, FETCH_SEGMENTS.1);
        Some(Seq(entered.next.0.saturating_add(segments)).min(self.position?))
    }

    pub(super) fn ask_for_past(&mut self) {
        let Some(entered) = &self.past.entered else { return };
        let Some(end) = self.fetch_end(entered) else { return };
        let (is_full, is_stuck) = (entered.bytes() >= FETCHED_BYTES_MAX, self.is_stuck(entered));
        if !is_full {
            self.ask_keepers(end, is_stuck);
        }
        // What is next may be missing although what follows it fills the store.
        if !is_full || is_stuck {
            self.ask_host(end, is_stuck);
        }
    }

    fn ask_keepers(&mut self, end: Seq, is_stuck: bool) {
        let Some(entered) = &self.past.entered else { return };
        let Some((first, _)) = self.missing(entered, entered.next, end, is_stuck) else { return };
        self.ask_for_a_keeper(first);
        let mut from = first;
        while self.is_a_keeper_free()
            && let Some((first, until)) =
                self.past.entered.as_ref().and_then(|entered| self.missing(entered, from, end, false))
        {
            let until = until.min(Seq(first.0 + RUN_MAX.min(PAST_SEGMENTS_MAX)));
            // What no keeper gives must not keep back what follows it.
            from = self.ask_keeper(first, until).unwrap_or(first.next());
        }
    }

    fn ask_for_a_keeper(&mut self, from: Seq) {
        let Some(entered) = &self.past.entered else { return };
        let wanted = match self.past.keepers.len() {
            0 => true,
            count => count < KEEPERS_MAX && entered.short_for(self.now) >= PATIENCE,
        };
        if !wanted || self.now < self.past.ask_at || self.playout.linkless {
            return;
        }
        (self.past.ask_at, self.past.answered) = (self.now + ASK_EVERY, false);
        let but = self.past.keepers.keys().chain(self.past.failed.keys()).copied().collect();
        self.tell(&Up::Past { from, but });
    }

    /// Whether any keeper may be asked for more.
    fn is_a_keeper_free(&self) -> bool {
        let Some(entered) = &self.past.entered else { return false };
        let links = self.past.keepers.iter().filter_map(|(peer, keeper)| Some((keeper, self.link_with(*peer)?)));
        let mut open = links.filter(|(_, (_, link))| link.open);
        open.any(|(keeper, (id, _))| keeper.takes_more(entered.under_way(id)))
    }

    /// Asks the keeper that gives, another one for what that has not given; up to where it was asked.
    fn ask_keeper(&mut self, from: Seq, until: Seq) -> Option<Seq> {
        let now = self.now;
        let entered = self.past.entered.as_ref()?;
        let links = self.past.keepers.iter().filter_map(|(peer, keeper)| Some((keeper, self.link_with(*peer)?)));
        let open = links.filter(|(_, (id, link))| link.open && !entered.was_in_vain(from, *id));
        let owing = open.map(|(keeper, (id, _))| (keeper, entered.under_way(id), id));
        let free = owing.filter(|(keeper, owed, _)| keeper.takes_more(*owed));
        let ranked = free.map(|(keeper, owed, id)| (keeper.vain.is_some(), Reverse(keeper.gave), owed, id));
        let (_, _, _, id) = ranked.min()?;
        let asked = (from.0..until.0).map(Seq).take_while(|seq| !entered.was_in_vain(*seq, id));
        let until = asked.last()?.next();
        let link = self.links.get_mut(&id)?;
        if let Some(keeper) = self.past.keepers.get_mut(&link.peer) {
            keeper.asked = now;
        }
        link.on_repair_asked(now);
        self.counters.overhead_sent += link.say(id, &PeerMessage::Past { from, until }, now, &mut self.out);
        if let Some(entered) = &mut self.past.entered {
            entered.asked.extend((from.0..until.0).map(|seq| (Seq(seq), Ask { of: Some(id), at: now })));
        }
        Some(until)
    }

    /// Asks the host when there is nobody else, or no more time; a viewer that is stuck asks for what others owe as well.
    fn ask_host(&mut self, end: Seq, is_stuck: bool) {
        let (now, host) = (self.now, &self.past.host);
        let Some(entered) = &self.past.entered else { return };
        if !self.past.keeping.host || host.running.is_some() || now < host.not_before || !self.is_hurried(entered) {
            return;
        }
        let Some((from, until)) = self.missing(entered, entered.next, end, is_stuck) else { return };
        let count = (HOST_SPAN.0 / self.latency.segment().0.max(1)).clamp(HOST_SEGMENTS.0, HOST_SEGMENTS.1);
        // What others owe comes first: what is so far behind it does not help yet.
        if from.0 - entered.next.0 >= count {
            return;
        }
        let until = until.min(Seq(from.0 + count));
        (self.past.host.running, self.past.host.gave, self.past.host.newest) = (Some(now), false, None);
        if let Some(entered) = &mut self.past.entered {
            entered.asked.extend((from.0..until.0).map(|seq| (Seq(seq), Ask { of: None, at: now })));
        }
        self.out.push_back(Output::FetchPast(from, (until.0 - from.0) as u32));
    }

    fn is_hurried(&self, entered: &Entered) -> bool {
        let nobody = self.past.keepers.len() == 0 && (self.past.answered || self.playout.linkless);
        let patience = if self.is_given_to() { PATIENCE + PATIENCE } else { PATIENCE };
        (nobody && entered.ahead() < HOST_STORE) || entered.short_for(self.now) >= patience
    }

    /// Whether the player has next to nothing and has been waiting for the same segment, whoever owes that.
    fn is_stuck(&self, entered: &Entered) -> bool {
        entered.ahead() < CAUGHT_UP && self.now.since(entered.moved) >= PATIENCE + PATIENCE
    }

    /// Whether a keeper sends something just now.
    pub(super) fn is_given_to(&self) -> bool {
        let gives = |keeper: &Keeper| keeper.gave.is_some_and(|gave| self.now.since(gave) < GIVES);
        self.past.keepers.values().any(gives)
    }
}
