//! The copies one node may be asked for: its children, old and new, never more than its capacity and one.

use peerstream_protocol::id::NodeId;

use crate::few::Few;

/// The children a node's assignment names.
///
/// Where a new child would exceed the bound, it is paired with one that leaves: each of the two may be fed only while
/// the other is not, so that the pair costs one copy whatever is lost, doubled or late.
#[derive(Clone, Debug, Default, Hash)]
pub(crate) struct Slots {
    /// The children, each with the other one of its pair.
    children: Vec<(NodeId, Option<NodeId>)>,
    /// Children dropped, with the last version that named them, until the node reports a later one.
    dropped: Few<u64>,
    /// Children the node could feed when last asked.
    room: usize,
}

impl Slots {
    pub(crate) fn children(&self) -> impl Iterator<Item = NodeId> {
        self.children.iter().map(|(child, _)| *child)
    }

    /// Takes a child in for a node that can feed `room` children; false when there is no copy left for it.
    pub(crate) fn admit(&mut self, child: NodeId, room: usize, leaving: &[NodeId]) -> bool {
        self.room = room;
        if room == 0 {
            return false;
        }
        if self.children().any(|known| known == child) {
            return true;
        }
        // A child that was dropped may still be fed under an earlier version: its condition might not bind, and the
        // version that drops it might arrive only after it has come back and let its old parent go.
        if self.dropped.contains(child) {
            return false;
        }
        if self.copies() <= room {
            self.children.reserve_exact(1);
            self.children.push((child, None));
            return true;
        }
        let single = self.children.iter_mut().find(|(old, pair)| pair.is_none() && leaving.contains(old));
        let Some((old, pair)) = single else { return false };
        *pair = Some(child);
        let old = *old;
        self.children.reserve_exact(1);
        self.children.push((child, Some(old)));
        true
    }

    /// Takes a child out; `version` is the last one that may have named it. False when it was not there.
    pub(crate) fn drop_child(&mut self, child: NodeId, version: u64) -> bool {
        let Some(at) = self.children.iter().position(|(known, _)| *known == child) else { return false };
        if let (_, Some(pair)) = self.children.remove(at) {
            self.part(pair);
        } else if let Some(either) = self.children.iter().find(|(_, pair)| pair.is_some()).map(|(child, _)| *child) {
            // The copy that is free now lets both of a pair be fed.
            let other = self.children.iter().find(|(child, _)| *child == either).and_then(|(_, pair)| *pair);
            if self.copies() <= self.room {
                self.part(either);
                other.into_iter().for_each(|other| self.part(other));
            }
        }
        self.dropped.insert(child, version);
        true
    }

    fn part(&mut self, child: NodeId) {
        self.children.iter_mut().filter(|(known, _)| *known == child).for_each(|(_, pair)| *pair = None);
    }

    /// The node reports a version: which dropped children it has certainly stopped feeding for good.
    pub(crate) fn settle(&mut self, version: u64, feeds: impl Fn(NodeId) -> bool) -> Vec<NodeId> {
        let done = |(child, last): (NodeId, u64)| (version > last && !feeds(child)).then_some(child);
        let settled: Vec<_> = self.dropped.iter().filter_map(done).collect();
        for child in &settled {
            self.dropped.remove(*child);
        }
        let named = |child: &NodeId| self.children().all(|known| known != *child);
        settled.into_iter().filter(named).collect()
    }

    /// Everyone the node may be feeding.
    pub(crate) fn into_known(self) -> Vec<NodeId> {
        self.children.iter().map(|(child, _)| *child).chain(self.dropped.keys()).collect()
    }

    /// The children, each with the other one of its pair.
    pub(crate) fn pairs(&self) -> &[(NodeId, Option<NodeId>)] {
        &self.children
    }

    /// Copies the node may have to send at once.
    fn copies(&self) -> usize {
        let paired = self.children.iter().filter(|(_, pair)| pair.is_some()).count();
        self.children.len() - paired / 2
    }
}
