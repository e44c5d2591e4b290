//! Nodes that say that they cannot relay any more. One alone is believed at once. When many say so within a short time, the
//! strategy hears of them together: else it would put those below one of them below another one that says the same next.

use std::collections::BTreeSet;

use peerstream_overlay::Event;
use peerstream_protocol::id::NodeId;
use peerstream_protocol::time::Micros;

use crate::coordinator::Coordinator;

/// Many are those that follow each other within this time.
const TOGETHER: Micros = Micros::from_secs(2);
/// They are gathered for this long.
const GATHER: Micros = Micros::from_millis(400);

/// Those that are gathered, at most all members.
#[derive(Clone, Debug, Default)]
pub(crate) struct Retiring {
    nodes: BTreeSet<NodeId>,
    /// When the strategy hears of them.
    pub(crate) due: Option<Micros>,
    last: Option<Micros>,
}

impl Retiring {
    /// Whether this node's retirement waits for those of others.
    pub(crate) fn gathers(&mut self, node: NodeId, now: Micros) -> bool {
        let others = self.due.is_some() || self.last.is_some_and(|last| now.since(last) < TOGETHER);
        if others {
            self.nodes.insert(node);
            self.due.get_or_insert(now + GATHER);
        } else {
            self.last = Some(now);
        }
        others
    }

    /// The node relays after all, or is gone.
    pub(crate) fn forget(&mut self, node: NodeId) {
        self.nodes.remove(&node);
    }
}

impl Coordinator {
    /// The strategy hears of those that were gathered.
    pub(crate) fn retire_when_due(&mut self) {
        if self.retiring.due.is_none_or(|due| self.now < due) {
            return;
        }
        (self.retiring.due, self.retiring.last) = (None, Some(self.now));
        for node in std::mem::take(&mut self.retiring.nodes) {
            if let Some(capacity) = self.topology.get(node).map(|member| member.capacity) {
                self.topology.set_ability(node, capacity, false);
                self.topology.set_untried(node, false);
                self.events.push(Event::Changed(node));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_believed_at_once_and_those_that_follow_are_gathered() {
        let mut retiring = Retiring::default();
        let at = Micros::from_millis;
        assert!(!retiring.gathers(NodeId(1), at(1_000)));
        assert!(retiring.gathers(NodeId(2), at(1_100)) && retiring.gathers(NodeId(3), at(1_200)));
        assert_eq!((retiring.nodes.len(), retiring.due), (2, Some(at(1_500))));
        retiring.forget(NodeId(3));
        assert_eq!(retiring.nodes, BTreeSet::from([NodeId(2)]));
        let mut calm = Retiring::default();
        assert!(!calm.gathers(NodeId(1), at(1_000)) && !calm.gathers(NodeId(2), at(3_000)));
    }
}
