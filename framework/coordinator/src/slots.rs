//! The copies one node may be asked for: its children, old and new, never more than its capacity and one.

use peerstream_overlay::maybe::Maybe;
use peerstream_protocol::id::{NodeId, Stripes};
use smallvec::SmallVec;

use crate::few::Few;

/// A child in an assignment.
#[derive(Clone, Copy, Debug, Hash)]
pub(crate) struct Child {
    pub(crate) node: NodeId,
    /// What it is fed.
    pub(crate) stripes: Stripes,
    /// The other one of its pair.
    pub(crate) pair: Maybe<NodeId>,
}

impl Child {
    fn new(node: NodeId, stripes: Stripes, pair: Option<NodeId>) -> Self {
        Self { node, stripes, pair: pair.into() }
    }
}

/// The children a node's assignment names, each once.
///
/// Where a new child would exceed the bound, it is paired with one that leaves: each of the two may be fed only while
/// the other is not, so that the pair costs one copy whatever is lost, doubled or late.
#[derive(Clone, Debug, Default, Hash)]
pub(crate) struct Slots {
    children: SmallVec<[Child; 2]>,
    /// What children were fed and are not any more, with the last version that said so, until the node reports a later one.
    dropped: Option<Box<Few<(u64, Stripes)>>>,
    /// Children the node could feed when last asked.
    room: u8,
}

impl Slots {
    pub(crate) fn children(&self) -> impl Iterator<Item = NodeId> {
        self.children.iter().map(|child| child.node)
    }

    /// Takes a child in, or feeds it these stripes as well, for a node that can feed `room` children; false when there is
    /// no copy left for that.
    pub(crate) fn admit(&mut self, child: NodeId, stripes: Stripes, room: usize, leaving: &[NodeId]) -> bool {
        self.room = u8::try_from(room).unwrap_or(u8::MAX);
        if room == 0 {
            return false;
        }
        let fed = self.children.iter().find(|known| known.node == child).map_or(Stripes::NONE, |known| known.stripes);
        if fed.contains(stripes) {
            return true;
        }
        // What was dropped may still be fed under an earlier version: its condition might not bind, and the
        // version that drops it might arrive only after it has come back and let its old parent go.
        if self.dropped.as_ref().is_some_and(|dropped| dropped.get(child).is_some_and(|(_, old)| old.meets(stripes))) {
            return false;
        }
        if self.stripes_out() + stripes.without(fed).count() <= (room + 1) * COPY {
            match self.children.iter_mut().find(|known| known.node == child) {
                Some(known) => known.stripes = fed.with(stripes),
                None => self.children.push(Child::new(child, stripes, None)),
            }
            return true;
        }
        let fits = |old: &Child| old.pair.is_none() && old.stripes.count() >= stripes.count();
        let single = self.children.iter_mut().find(|old| fits(old) && leaving.contains(&old.node));
        let Some(old) = single.filter(|_| fed.is_empty()) else { return false };
        old.pair = Some(child).into();
        let old = old.node;
        self.children.push(Child::new(child, stripes, Some(old)));
        true
    }

    /// Takes these stripes from a child; `version` is the last one that may have said otherwise. False when it was not fed
    /// them.
    pub(crate) fn drop_child(&mut self, child: NodeId, stripes: Stripes, version: u64) -> bool {
        let known = self.children.iter().position(|known| known.node == child);
        let Some(at) = known.filter(|at| self.children[*at].stripes.meets(stripes)) else { return false };
        let fed = self.children[at].stripes;
        self.children[at].stripes = fed.without(stripes);
        if self.children[at].stripes.is_empty()
            && let Some(pair) = self.children.remove(at).pair.get()
        {
            self.part(pair);
        }
        self.part_if_free();
        let dropped = self.dropped.get_or_insert_default();
        let before = dropped.get(child).map_or(Stripes::NONE, |(_, stripes)| stripes);
        dropped.insert(child, (version, before.with(fed.and(stripes))));
        true
    }

    /// What is free now lets both of a pair be fed.
    fn part_if_free(&mut self) {
        let most = (usize::from(self.room) + 1) * COPY;
        let smaller = |one: &Child, other: &Child| one.stripes.count().min(other.stripes.count());
        let both = |slots: &Self, one: &Child| {
            let other = slots.children.iter().find(|other| one.pair.get() == Some(other.node))?;
            (slots.stripes_out() + smaller(one, other) <= most).then_some((one.node, other.node))
        };
        while let Some((one, other)) = self.children.iter().find_map(|child| both(self, child)) {
            self.part(one);
            self.part(other);
        }
    }

    fn part(&mut self, child: NodeId) {
        self.children.iter_mut().filter(|known| known.node == child).for_each(|child| child.pair = Maybe::default());
    }

    /// The node reports a version: what of that which was dropped it has certainly stopped feeding for good.
    pub(crate) fn settle(&mut self, version: u64, feeds: impl Fn(NodeId) -> Stripes) -> Vec<(NodeId, Stripes)> {
        let Some(dropped) = &mut self.dropped else { return Vec::new() };
        let done = |(child, (last, stripes)): (NodeId, (u64, Stripes))| {
            (version > last && !feeds(child).meets(stripes)).then_some((child, stripes))
        };
        let mut settled: Vec<_> = dropped.iter().filter_map(done).collect();
        for (child, _) in &settled {
            dropped.remove(*child);
        }
        if dropped.is_empty() {
            self.dropped = None;
        }
        for (child, stripes) in &mut settled {
            let fed = self.children.iter().find(|known| known.node == *child);
            *stripes = stripes.without(fed.map_or(Stripes::NONE, |known| known.stripes));
        }
        settled.retain(|(_, stripes)| !stripes.is_empty());
        settled
    }

    /// Everyone the node may be feeding.
    pub(crate) fn into_known(self) -> Vec<NodeId> {
        self.children().chain(self.dropped.iter().flat_map(|dropped| dropped.keys())).collect()
    }

    /// The children, each with the other one of its pair.
    pub(crate) fn pairs(&self) -> &[Child] {
        &self.children
    }

    /// Stripes the node may have to send at once: of a pair those of the larger one.
    fn stripes_out(&self) -> usize {
        let size = |child: &Child| (child.stripes.count(), child.node);
        let partner = |child: &Child| self.children.iter().find(|other| child.pair.get() == Some(other.node)).map(size);
        let larger = |child: &&Child| partner(child).is_none_or(|partner| partner < size(child));
        self.children.iter().filter(larger).map(|child| child.stripes.count()).sum()
    }
}

/// Stripes of a copy.
const COPY: usize = Stripes::COUNT as usize;
