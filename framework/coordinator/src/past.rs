//! The past: whom a viewer asks that has gone back in time, and what nobody may see.

use std::collections::BTreeMap;

use peerstream_protocol::control::{Down, KEEPERS_MAX};
use peerstream_protocol::id::{NodeId, Seq};
use peerstream_protocol::time::Micros;
use peerstream_protocol::withheld::{TooMany, Withheld};

use crate::coordinator::Coordinator;
use crate::io::ConnId;
use crate::limits::{Bucket, Rate};

/// Members looked at for one answer.
const LOOKED_AT_MAX: usize = 512;
/// A viewer in the past and its keeper may exchange set-up messages for this long.
const PAIR_SPAN: Micros = Micros::from_secs(30);
/// Such pairs at once; beyond it nobody is named (`past_refused`).
const PAIRS_MAX: usize = 8_192;
/// A node may ask so often.
const ASKS: Rate = Rate { burst: 4, per_second: 1 };
/// Nodes whose asking is remembered; all that are beyond it wait.
const ASKERS_MAX: usize = 4_096;

/// Who links with whom for the sake of the past, and what is withheld.
#[derive(Clone, Debug, Default)]
pub(crate) struct Past {
    pairs: BTreeMap<(NodeId, NodeId), Micros>,
    askers: BTreeMap<NodeId, Bucket>,
    /// Where the search for keepers goes on, so that they take turns.
    looked_at: Option<NodeId>,
    withheld: Withheld,
}

fn pair(a: NodeId, b: NodeId) -> (NodeId, NodeId) {
    (a.min(b), a.max(b))
}

impl Coordinator {
    /// A viewer has gone back in time.
    pub(crate) fn on_past(&mut self, node: NodeId, from: Seq) {
        let now = self.now;
        self.counters.past_asked += 1;
        self.past.pairs.retain(|_, until| now < *until);
        self.past.askers.retain(|_, bucket| !bucket.is_full(ASKS, now));
        let room = self.past.askers.len() < ASKERS_MAX || self.past.askers.contains_key(&node);
        let allowed = room && self.past.askers.entry(node).or_insert_with(|| Bucket::full(ASKS, now)).take(ASKS, now);
        if !allowed || self.past.pairs.len() + KEEPERS_MAX > PAIRS_MAX {
            return self.counters.past_refused += 1;
        }
        let keepers = self.keepers(node, from);
        self.counters.keepers_named += keepers.len() as u64;
        for keeper in &keepers {
            self.past.pairs.insert(pair(node, *keeper), now + PAIR_SPAN);
            if let Some(conn) = self.members.get(*keeper).and_then(|member| member.conn.get()) {
                self.send(conn, &Down::Guest(node));
            }
        }
        if let Some(conn) = self.members.get(node).and_then(|member| member.conn.get()) {
            self.send(conn, &Down::Keepers(keepers));
        }
    }

    /// Nodes that keep this segment and have capacity to spare, as they say themselves.
    fn keepers(&mut self, asker: NodeId, from: Seq) -> Vec<NodeId> {
        let begin = self.past.looked_at.unwrap_or(NodeId::SOURCE);
        let behind = self.members.iter_from(begin);
        let before = self.members.iter_from(NodeId::SOURCE).take_while(|(node, _)| *node < begin);
        let mut keepers = Vec::new();
        for (node, member) in behind.chain(before).take(LOOKED_AT_MAX) {
            let gives =
                member.conn.is_some() && member.suspicion.is_none() && member.kept.is_some_and(|kept| kept <= from);
            if !gives || node == asker || node == NodeId::SOURCE {
                continue;
            }
            keepers.push(node);
            if keepers.len() == KEEPERS_MAX {
                break;
            }
        }
        self.past.looked_at = keepers.last().map(|last| NodeId(last.0 + 1));
        keepers
    }

    /// Whether two nodes link for the sake of the past.
    pub(crate) fn share_the_past(&self, a: NodeId, b: NodeId) -> bool {
        self.past.pairs.get(&pair(a, b)).is_some_and(|until| self.now < *until)
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
