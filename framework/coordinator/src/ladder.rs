//! Too many that cannot keep up, or too few places: what the ladder policy says is carried out.

use std::collections::BTreeSet;

use peerstream_overlay::{LEAVES_MAX, LadderPolicy, Overload, Rung};
use peerstream_protocol::control::Reason;
use peerstream_protocol::id::NodeId;
use peerstream_protocol::time::Micros;

use crate::coordinator::Coordinator;
use crate::history::Happening;
use crate::io::Output;

/// Below this many members a share means nothing.
const MEMBERS_MIN: usize = 4;
/// Places are too few when they have been so for this long: moves under way, and newcomers, come first.
const UNPLACED_MAX: Micros = Micros::from_secs(2);

impl Coordinator {
    /// Another policy than [`peerstream_overlay::InBatches`].
    pub fn with_ladder(mut self, policy: Box<dyn LadderPolicy + Send>) -> Self {
        self.ladder = policy;
        self
    }

    /// Whether more than half of all members struggle.
    pub(crate) fn is_overloaded(&self) -> bool {
        let members = self.topology.len();
        members >= MEMBERS_MIN && self.struggling.len() * 2 > members
    }

    /// While it is so, the policy says what becomes of the struggling leaves.
    pub(crate) fn ask_ladder(&mut self) {
        let mut leaves = self.unplaced();
        let unplaced = leaves.len();
        if self.is_overloaded() {
            leaves.extend(self.struggling_leaves());
        }
        if leaves.is_empty() {
            return;
        }
        leaves.truncate(LEAVES_MAX);
        let (members, struggling) = (self.topology.len(), self.struggling.len());
        let overload = Overload { now: Micros(self.wall_us()), members, struggling, unplaced, leaves: &leaves };
        let concerned: BTreeSet<_> = leaves.iter().copied().collect();
        let mut shed = 0;
        for (leaf, rung) in self.ladder.decide(&overload) {
            // There is one rendition, so lower is out.
            if rung != Rung::Stay && concerned.contains(&leaf) {
                shed += 1;
                self.note(leaf, Happening::TurnedAway { reason: Reason::NoLowerRendition });
                self.bury(leaf, Reason::NoLowerRendition);
            }
        }
        self.counters.shed += shed as u64;
        if shed > 0 {
            self.push(Output::Overloaded { members, struggling, shed });
        }
    }

    /// Those that cannot relay and for whom there has been no place for a while.
    fn unplaced(&mut self) -> Vec<NodeId> {
        if self.strategy.waiting() == 0 || self.topology.len() < MEMBERS_MIN {
            self.unplaced_since = None;
            return Vec::new();
        }
        if self.now.since(*self.unplaced_since.get_or_insert(self.now)) < UNPLACED_MAX {
            return Vec::new();
        }
        let concerned = |(node, target): &(NodeId, &peerstream_overlay::Member)| {
            *node != NodeId::SOURCE && target.parent().is_none() && target.children().is_empty() && !target.relay
        };
        let mut unplaced: Vec<_> = self.topology.iter().filter(concerned).map(|(node, _)| node).collect();
        unplaced.sort_by_key(|node| self.youngest_first(*node));
        unplaced
    }

    /// Leaves that struggle; those that relay come last, for others need them.
    fn struggling_leaves(&self) -> Vec<NodeId> {
        let leaf = |target: &peerstream_overlay::Member| target.children().is_empty() && target.parent().is_some();
        let leaves = self.struggling.iter().filter(|node| self.topology.get(**node).is_some_and(leaf));
        let mut leaves: Vec<_> = leaves.copied().collect();
        let relays = |node: NodeId| self.topology.get(node).is_some_and(|target| target.relay);
        leaves.sort_by_key(|node| (relays(*node), self.youngest_first(*node)));
        leaves
    }

    fn youngest_first(&self, node: NodeId) -> impl Ord + use<> {
        std::cmp::Reverse(self.topology.get(node).map(|target| (target.joined_at, node)))
    }
}
