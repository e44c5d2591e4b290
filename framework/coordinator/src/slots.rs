//! The copies one node may be asked for: its children, old and new, never more than its capacity and one.

use peerstream_overlay::maybe::Maybe;
use peerstream_protocol::id::NodeId;
use smallvec::SmallVec;

use crate::few::Few;

/// A child in an assignment.
#[derive(Clone, Copy, Debug, Hash)]
pub(crate) struct Child {
    pub(crate) node: NodeId,
    /// The other one of its pair.
    pub(crate) pair: Maybe<NodeId>,
}

impl Child {
    fn new(node: NodeId, pair: Option<NodeId>) -> Self {
        Self { node, pair: pair.into() }
    }
}

/// The children a node's assignment names.
///
/// Where a new child would exceed the bound, it is paired with one that leaves: each of the two may be fed only while
/// the other is not, so that the pair costs one copy whatever is lost, doubled or late.
#[derive(Clone, Debug, Default, Hash)]
pub(crate) struct Slots {
    children: SmallVec<[Child; 2]>,
    /// Children dropped, with the last version that named them, until the node reports a later one.
    dropped: Option<Box<Few<u64>>>,
    /// Children the node could feed when last asked.
    room: u8,
}

impl Slots {
    pub(crate) fn children(&self) -> impl Iterator<Item = NodeId> {
        self.children.iter().map(|child| child.node)
    }

    /// Takes a child in for a node that can feed `room` children; false when there is no copy left for it.
    pub(crate) fn admit(&mut self, child: NodeId, room: usize, leaving: &[NodeId]) -> bool {
        self.room = u8::try_from(room).unwrap_or(u8::MAX);
        if room == 0 {
            return false;
        }
        if self.children().any(|known| known == child) {
            return true;
        }
        // A child that was dropped may still be fed under an earlier version: its condition might not bind, and the
        // version that drops it might arrive only after it has come back and let its old parent go.
        if self.dropped.as_ref().is_some_and(|dropped| dropped.contains(child)) {
            return false;
        }
        if self.copies() <= room {
            self.children.push(Child::new(child, None));
            return true;
        }
        let single = self.children.iter_mut().find(|old| old.pair.is_none() && leaving.contains(&old.node));
        let Some(old) = single else { return false };
        old.pair = Some(child).into();
        let old = old.node;
        self.children.push(Child::new(child, Some(old)));
        true
    }

    /// Takes a child out; `version` is the last one that may have named it. False when it was not there.
    pub(crate) fn drop_child(&mut self, child: NodeId, version: u64) -> bool {
        let Some(at) = self.children.iter().position(|known| known.node == child) else { return false };
        if let Some(pair) = self.children.remove(at).pair.get() {
            self.part(pair);
        } else if let Some(either) = self.children.iter().copied().find(|child| child.pair.is_some()) {
            // The copy that is free now lets both of a pair be fed.
            if self.copies() <= usize::from(self.room) {
                self.part(either.node);
                either.pair.get().into_iter().for_each(|other| self.part(other));
            }
        }
        self.dropped.get_or_insert_default().insert(child, version);
        true
    }

    fn part(&mut self, child: NodeId) {
        self.children.iter_mut().filter(|known| known.node == child).for_each(|child| child.pair = Maybe::default());
    }

    /// The node reports a version: which dropped children it has certainly stopped feeding for good.
    pub(crate) fn settle(&mut self, version: u64, feeds: impl Fn(NodeId) -> bool) -> Vec<NodeId> {
        let Some(dropped) = &mut self.dropped else { return Vec::new() };
        let done = |(child, last): (NodeId, u64)| (version > last && !feeds(child)).then_some(child);
        let settled: Vec<_> = dropped.iter().filter_map(done).collect();
        for child in &settled {
            dropped.remove(*child);
        }
        if dropped.is_empty() {
            self.dropped = None;
        }
        let named = |child: &NodeId| self.children().all(|known| known != *child);
        settled.into_iter().filter(named).collect()
    }

    /// Everyone the node may be feeding.
    pub(crate) fn into_known(self) -> Vec<NodeId> {
        self.children().chain(self.dropped.iter().flat_map(|dropped| dropped.keys())).collect()
    }

    /// The children, each with the other one of its pair.
    pub(crate) fn pairs(&self) -> &[Child] {
        &self.children
    }

    /// Copies the node may have to send at once.
    fn copies(&self) -> usize {
        let paired = self.children.iter().filter(|child| child.pair.is_some()).count();
        self.children.len() - paired / 2
    }
}
