//! Who is asked for what is past: other viewers that keep it, as the coordinator names them, and then the host.

use std::collections::BTreeSet;

use peerstream_protocol::control::{KEEPERS_MAX, Up};
use peerstream_protocol::crypto::Verifier;
use peerstream_protocol::frame::{PAST_SEGMENTS_MAX, PeerMessage};
use peerstream_protocol::id::{NodeId, Seq};
use peerstream_protocol::time::Micros;

use super::{Ask, Entered, Keeper};
use crate::io::{LinkId, Output};
use crate::node::Node;

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
/// What a keeper has not sent by then is asked of another one.
const KEEPER_LATE: Micros = Micros::from_secs(2);
/// A keeper that has refused, or was late, and gave nothing for this long makes room for others that the coordinator names.
const VAIN_MAX: Micros = Micros::from_secs(3);
/// A link to a keeper has so long to open.
const KEEPER_OPENS: Micros = Micros::from_secs(5);
/// The coordinator is asked for keepers no more often than this.
const ASK_EVERY: Micros = Micros::from_secs(3);
/// Keepers are waited for so long before the host is asked.
const PATIENCE: Micros = Micros::from_millis(1_500);
/// With less than this in store the host is asked for what keepers have not sent.
const URGENT: Micros = Micros::from_millis(2_500);
/// The host is asked for so many segments at once.
const HOST_SEGMENTS_MAX: u64 = 32;
/// The host has so long to send something.
const HOST_STALLED: Micros = Micros::from_secs(8);

impl<V: Verifier> Node<V> {
    /// The coordinator names nodes that keep what was asked for.
    pub(crate) fn on_keepers(&mut self, keepers: &[NodeId]) {
        self.past.answered = true;
        if self.past.entered.is_none() {
            return;
        }
        for peer in keepers.iter().copied() {
            let full = self.past.keepers.len() >= KEEPERS_MAX;
            if full || Some(peer) == self.id || self.is_banned(peer) || self.past.keepers.contains_key(&peer) {
                continue;
            }
            self.past.keepers.insert(peer, Keeper { since: self.now, vain: None });
            self.reconciler.invite(peer);
            if self.link_with(peer).is_none() {
                self.connect(peer);
            }
        }
        self.pressing = true;
    }

    /// Keepers whose links did not open or have gone.
    pub(super) fn forget_keepers(&mut self) {
        let gone: Vec<_> = self.past.keepers.iter().filter(|(peer, keeper)| !self.is_of_use(**peer, keeper)).collect();
        let gone: Vec<_> = gone.into_iter().map(|(peer, _)| *peer).collect();
        gone.into_iter().for_each(|peer| self.dismiss_keeper(peer));
    }

    pub(super) fn is_of_use(&self, peer: NodeId, keeper: &Keeper) -> bool {
        match self.link_with(peer) {
            Some((_, link)) => link.open || self.now.since(keeper.since) < KEEPER_OPENS,
            None => false,
        }
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
        (self.past.asked, self.past.answered) = (None, false);
    }

    pub(super) fn forget_late_asks(&mut self) {
        let now = self.now;
        let Self { past, links, .. } = self;
        let Some(entered) = &mut past.entered else { return };
        let late = entered.asked.iter().filter(|(_, ask)| match ask.of {
            Some(link) => now.since(ask.at) >= KEEPER_LATE || !links.contains_key(&link),
            None => past.host.running.is_none(),
        });
        let late: Vec<_> = late.map(|(seq, ask)| (*seq, ask.of)).collect();
        late.iter().for_each(|(seq, _)| entered.in_vain(*seq, now));
        entered.forget_vain(now);
        let silent: BTreeSet<_> = late.into_iter().filter_map(|(_, of)| of).collect();
        silent.into_iter().for_each(|link| self.on_given_nothing(link));
        if self.past.host.running.is_some_and(|since| now.since(since) > HOST_STALLED) {
            self.out.push_back(Output::EndFetchPast);
            self.on_past_fetch_ended();
        }
    }

    /// A keeper refused, or was late.
    pub(super) fn on_given_nothing(&mut self, link: LinkId) {
        let now = self.now;
        let Some(peer) = self.links.get(&link).map(|link| link.peer) else { return };
        let Some(keeper) = self.past.keepers.get_mut(&peer) else { return };
        let since = *keeper.vain.get_or_insert(now);
        if now.since(since) >= VAIN_MAX {
            self.dismiss_keeper(peer);
        }
    }

    /// The first segments from `seq` on, before `end`, that are missing and not asked for.
    pub(super) fn missing(&self, entered: &Entered, seq: Seq, end: Seq) -> Option<(Seq, Seq)> {
        let open = |seq: &Seq| {
            let known = entered.asked.contains_key(seq) || entered.lost.contains(seq) || self.withheld.has(*seq);
            !known && !self.is_held_whole(*seq)
        };
        let first = (seq.0..end.0).map(Seq).find(open)?;
        let last = (first.0..end.0).map(Seq).take_while(open).last()?;
        Some((first, last.next()))
    }

    /// How far ahead of the player something is fetched.
    pub(super) fn fetch_end(&self, entered: &Entered) -> Option<Seq> {
        let segments = (FETCH_AHEAD.0 / self.latency.segment().0.max(1)).clamp(FETCH_SEGMENTS.0, FETCH_SEGMENTS.1);
        Some(Seq(entered.next.0.saturating_add(segments)).min(self.position?))
    }

    pub(super) fn ask_for_past(&mut self) {
        let Some(entered) = &self.past.entered else { return };
        let Some(end) = self.fetch_end(entered) else { return };
        if entered.bytes() >= FETCHED_BYTES_MAX {
            return;
        }
        let Some((first, _)) = self.missing(entered, entered.next, end) else { return };
        self.ask_for_keepers(first);
        let mut from = first;
        while self.is_a_keeper_free()
            && let Some((first, until)) =
                self.past.entered.as_ref().and_then(|entered| self.missing(entered, from, end))
        {
            let until = until.min(Seq(first.0 + RUN_MAX.min(PAST_SEGMENTS_MAX)));
            // What no keeper gives must not keep back what follows it.
            from = self.ask_keeper(first, until).unwrap_or(first.next());
        }
        self.ask_host(end);
    }

    pub(super) fn ask_for_keepers(&mut self, from: Seq) {
        let asked_of_late = self.past.asked.is_some_and(|at| self.now.since(at) < ASK_EVERY);
        if self.past.keepers.len() >= KEEPERS_MAX || asked_of_late || self.playout.linkless {
            return;
        }
        (self.past.asked, self.past.answered) = (Some(self.now), false);
        self.tell(&Up::Past(from));
    }

    /// Whether any keeper may be asked for more.
    pub(super) fn is_a_keeper_free(&self) -> bool {
        let Some(entered) = &self.past.entered else { return false };
        let mut links = self.past.keepers.keys().filter_map(|peer| self.link_with(*peer));
        links.any(|(id, link)| link.open && entered.under_way(id) < UNDER_WAY_MAX)
    }

    /// Asks the keeper that owes least, those first that have given what they were asked for; up to where it was asked.
    pub(super) fn ask_keeper(&mut self, from: Seq, until: Seq) -> Option<Seq> {
        let now = self.now;
        let entered = self.past.entered.as_ref()?;
        let links = self.past.keepers.iter().filter_map(|(peer, keeper)| Some((keeper, self.link_with(*peer)?)));
        let open = links.filter(|(_, (id, link))| link.open && !entered.was_in_vain(from, *id));
        let owing = open.map(|(keeper, (id, _))| (keeper.vain.is_some(), entered.under_way(id), id));
        let (_, _, id) = owing.filter(|(_, owed, _)| *owed < UNDER_WAY_MAX).min()?;
        let asked = (from.0..until.0).map(Seq).take_while(|seq| !entered.was_in_vain(*seq, id));
        let until = asked.last()?.next();
        let link = self.links.get_mut(&id)?;
        link.on_repair_asked(now);
        self.counters.overhead_sent += link.say(id, &PeerMessage::Past { from, until }, now, &mut self.out);
        if let Some(entered) = &mut self.past.entered {
            entered.asked.extend((from.0..until.0).map(|seq| (Seq(seq), Ask { of: Some(id), at: now })));
        }
        Some(until)
    }

    /// Asks the host when there is nobody else, or no more time.
    pub(super) fn ask_host(&mut self, end: Seq) {
        let (now, host) = (self.now, &self.past.host);
        let Some(entered) = &self.past.entered else { return };
        if !self.past.keeping.host || host.running.is_some() || now < host.not_before || !self.is_hurried(entered) {
            return;
        }
        let Some((from, until)) = self.missing(entered, entered.next, end) else { return };
        let until = until.min(Seq(from.0 + HOST_SEGMENTS_MAX));
        (self.past.host.running, self.past.host.gave, self.past.host.newest) = (Some(now), false, None);
        if let Some(entered) = &mut self.past.entered {
            entered.asked.extend((from.0..until.0).map(|seq| (Seq(seq), Ask { of: None, at: now })));
        }
        self.out.push_back(Output::FetchPast(from, (until.0 - from.0) as u32));
    }

    pub(super) fn is_hurried(&self, entered: &Entered) -> bool {
        let nobody = self.past.keepers.len() == 0 && (self.past.answered || self.playout.linkless);
        let waited = self.now.since(entered.moved) >= PATIENCE;
        nobody || (waited && entered.ahead() < URGENT)
    }
}
