//! Too many that cannot keep up: what the ladder policy says is carried out.

use peerstream_overlay::{LEAVES_MAX, LadderPolicy, Overload, Rung};
use peerstream_protocol::control::Reason;
use peerstream_protocol::id::NodeId;
use peerstream_protocol::time::Micros;

use crate::coordinator::Coordinator;
use crate::history::Happening;
use crate::io::Output;

/// Below this many members a share means nothing.
const MEMBERS_MIN: usize = 4;

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
        if !self.is_overloaded() {
            return;
        }
        let leaves = self.struggling_leaves();
        let (members, struggling) = (self.topology.len(), self.struggling.len());
        let overload = Overload { now: Micros(self.wall_us()), members, struggling, leaves: &leaves };
        let mut shed = 0;
        for (leaf, rung) in self.ladder.decide(&overload) {
            // There is one rendition, so lower is out.
            if rung != Rung::Stay && self.struggling.contains(&leaf) {
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

    fn struggling_leaves(&self) -> Vec<NodeId> {
        let age = |node: &NodeId| self.topology.get(*node).map(|target| (target.joined_at, *node));
        let leaf = |node: &&NodeId| self.topology.get(**node).is_some_and(|target| target.children().is_empty());
        let mut leaves: Vec<_> = self.struggling.iter().filter(leaf).copied().collect();
        leaves.sort_by_key(|node| std::cmp::Reverse(age(node)));
        leaves.truncate(LEAVES_MAX);
        leaves
    }
}
