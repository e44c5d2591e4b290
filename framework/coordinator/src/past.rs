//! The past: whom a viewer asks that has gone back in time, and what nobody may see.

use std::collections::BTreeMap;

use peerstream_protocol::control::{Down, Kept};
use peerstream_protocol::id::{NodeId, Seq};
use peerstream_protocol::time::Micros;
use peerstream_protocol::withheld::{TooMany, Withheld};

use crate::coordinator::Coordinator;
use crate::io::ConnId;
use crate::limits::{Bucket, Rate};
use crate::members::Member;

/// Members looked at for one answer.
const LOOKED_AT_MAX: usize = 512;
/// A viewer in the past and its keeper may exchange set-up messages for this long.
const PAIR_SPAN: Micros = Micros::from_secs(30);
/// Such pairs at once; beyond it nobody is named (`past_refused`).
const PAIRS_MAX: usize = 8_192;
/// What a keeper says of its room may be so old that it does not know of a guest named this long before.
const REPORT_LATE: Micros = Micros::from_millis(500);
/// A node may ask so often.
const ASKS: Rate = Rate { burst: 4, per_second: 1 };
/// Nodes whose asking is remembered; all that are beyond it wait.
const ASKERS_MAX: usize = 4_096;

/// Who links with whom for the sake of the past, and what is withheld.
#[derive(Clone, Debug, Default)]
pub(crate) struct Past {
    /// When each keeper was last named to each guest.
    pairs: BTreeMap<(NodeId, NodeId), Micros>,
    askers: BTreeMap<NodeId, Bucket>,
    /// Where the search for keepers goes on, so that they take turns.
    looked_at: Option<NodeId>,
    withheld: Withheld,
}

impl Past {
    /// Guests that this keeper was given and may not have counted in what it has told.
    fn untold(&self, keeper: NodeId, told: Micros) -> usize {
        let guests = self.pairs.range((keeper, NodeId(0))..=(keeper, NodeId(u64::MAX)));
        guests.filter(|(_, named)| **named + REPORT_LATE > told).count()
    }

    fn have_met(&self, keeper: NodeId, guest: NodeId, now: Micros) -> bool {
        self.pairs.get(&(keeper, guest)).is_some_and(|named| now.since(*named) < PAIR_SPAN)
    }
}

/// What a member gives out of the past, as it has told.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Offer {
    pub(crate) kept: Kept,
    /// When it told.
    pub(crate) told: Micros,
}

impl Offer {
    /// How well it suits a viewer that wants this segment and those behind it.
    fn suits(&self, from: Seq) -> Option<Suits> {
        let fetched = self.kept.fetched.is_some_and(|(first, end)| (first..end).contains(&from));
        if self.kept.from <= from { Some(Suits::Keeps) } else { fetched.then_some(Suits::HasFetched) }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Suits {
    /// It has all up to the live edge.
    Keeps,
    /// Its viewer is there itself, and may go elsewhere.
    HasFetched,
}

impl Coordinator {
    /// A viewer has gone back in time.
    pub(crate) fn on_past(&mut self, node: NodeId, from: Seq, but: &[NodeId]) {
        let now = self.now;
        self.counters.past_asked += 1;
        self.past.pairs.retain(|_, named| now.since(*named) < PAIR_SPAN);
        self.past.askers.retain(|_, bucket| !bucket.is_full(ASKS, now));
        let room = self.past.askers.len() < ASKERS_MAX || self.past.askers.contains_key(&node);
        let allowed = room && self.past.askers.entry(node).or_insert_with(|| Bucket::full(ASKS, now)).take(ASKS, now);
        if !allowed || self.past.pairs.len() >= PAIRS_MAX {
            return self.counters.past_refused += 1;
        }
        let keeper = self.keeper(node, from, but);
        if let Some(keeper) = keeper {
            self.counters.keepers_named += 1;
            self.past.pairs.insert((keeper, node), now);
            if let Some(conn) = self.members.get(keeper).and_then(|member| member.conn.get()) {
                self.send(conn, &Down::Guest(node));
            }
        }
        if let Some(conn) = self.members.get(node).and_then(|member| member.conn.get()) {
            self.send(conn, &Down::Keeper(keeper));
        }
    }

    /// A node that keeps this segment and has room for one more guest; those that keep all behind it before those that are there
    /// themselves.
    fn keeper(&mut self, asker: NodeId, from: Seq, but: &[NodeId]) -> Option<NodeId> {
        let begin = self.past.looked_at.unwrap_or(NodeId::SOURCE);
        let behind = self.members.iter_from(begin);
        let before = self.members.iter_from(NodeId::SOURCE).take_while(|(node, _)| *node < begin);
        let mut second = None;
        let mut first = None;
        for (node, member) in behind.chain(before).take(LOOKED_AT_MAX) {
            if node == asker || node == NodeId::SOURCE || but.contains(&node) {
                continue;
            }
            match self.suits(node, member, from) {
                Some(Suits::Keeps) => {
                    first = Some(node);
                    break;
                }
                Some(Suits::HasFetched) => second = second.or(Some(node)),
                None => {}
            }
        }
        let keeper = first.or(second)?;
        self.past.looked_at = Some(NodeId(keeper.0 + 1));
        Some(keeper)
    }

    /// How well a member suits that is there and has room, counting the guests that it was given just now.
    fn suits(&self, node: NodeId, member: &Member, from: Seq) -> Option<Suits> {
        let offer = member.offer.as_ref().filter(|_| member.conn.is_some() && member.suspicion.is_none())?;
        let suits = offer.suits(from)?;
        (self.past.untold(node, offer.told) < usize::from(offer.kept.room)).then_some(suits)
    }

    /// Whether two nodes link for the sake of the past.
    pub(crate) fn share_the_past(&self, a: NodeId, b: NodeId) -> bool {
        self.past.have_met(a, b, self.now) || self.past.have_met(b, a, self.now)
    }

    /// Nobody plays or gives out `first` up to, not including, `end` from now on, those included who come later.
    pub fn withhold(&mut self, now: Micros, first: Seq, end: Seq) -> Result<(), TooMany> {
        self.now = self.now.max(now);
        self.past.withheld.withhold(first, end)?;
        self.tell_withheld();
        Ok(())
    }

    /// These may be played and given out again. Nodes have dropped what they kept of it; an archive may still have it.
    pub fn restore(&mut self, now: Micros, first: Seq, end: Seq) -> Result<(), TooMany> {
        self.now = self.now.max(now);
        self.past.withheld.restore(first, end)?;
        self.tell_withheld();
        Ok(())
    }

    /// What is withheld at present.
    pub fn withheld(&self) -> &Withheld {
        &self.past.withheld
    }

    fn tell_withheld(&mut self) {
        let message = Down::Withheld(self.past.withheld.clone());
        let conns: Vec<_> =
            self.members.iter_from(NodeId::SOURCE).filter_map(|(_, member)| member.conn.get()).collect();
        conns.into_iter().for_each(|conn| self.send(conn, &message));
    }

    /// A node has been welcomed: it hears of what is withheld.
    pub(crate) fn tell_newcomer_withheld(&mut self, conn: ConnId) {
        if !self.past.withheld.is_empty() {
            self.send(conn, &Down::Withheld(self.past.withheld.clone()));
        }
    }
}
