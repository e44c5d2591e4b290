//! What is remembered of each node, in one array.

use std::ops::{Index, IndexMut};

use hashbrown::HashTable;
use peerstream_sdk::overlay::Member;
use peerstream_sdk::protocol::id::NodeId;
use peerstream_sdk::protocol::time::Micros;

use crate::chance::mix;
use crate::place::Place;

/// Children that any node of the two trees but a single root has.
pub(crate) const FAN_OUT: usize = 2;
/// Copies a node can send: its children's, and the spare one.
pub(crate) const COPIES: usize = FAN_OUT + 1;

/// Where a node is in the array.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Slot(pub(crate) u32);

impl Slot {
    pub(crate) const NONE: Self = Self(u32::MAX);
    pub(crate) const SOURCE: Self = Self(u32::MAX - 1);

    pub(crate) fn some(self) -> Option<Self> {
        (self != Self::NONE).then_some(self)
    }
}

/// What brought a node to its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// It took the shallowest place when it came.
    Joined,
    /// It was there when the strategy took over.
    Adopted,
    /// It was the older child of the node that was there.
    Rose,
    /// It was the younger child, and the one with which the others lag less.
    RoseNearer,
    /// It changed places with another, so that those below them lag less.
    Exchanged,
    /// It found a nearer place once it was known where it is.
    Settled,
    /// It was the best uplink below the single root.
    BestUplink,
    /// The children of the node that was there could not take its place.
    CalledUp,
    /// It filled a hole nearer to the source.
    Compacted,
    /// A node that relays took the place it had.
    GaveWay,
    /// It underperformed.
    Demoted,
    /// It does not relay any more.
    StoppedRelaying,
    /// It could not reach its parent.
    Unreachable,
}

/// Whether a node feeds others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ability {
    /// It feeds two.
    Relays,
    /// It feeds others although its uplink is still to be measured, since there was nobody else.
    Trusted,
    /// It is a leaf until its uplink has been measured.
    Untried,
    /// It cannot or should not feed two, so it is to feed nobody.
    Weak,
}

impl Ability {
    /// What a member's is, `trusted` being said of one that feeds others already.
    pub(crate) fn of(member: &Member, trusted: bool) -> Self {
        match (member.room() < FAN_OUT, member.untried) {
            (true, _) => Self::Weak,
            (false, true) if trusted => Self::Trusted,
            (false, true) => Self::Untried,
            (false, false) => Self::Relays,
        }
    }

    /// Whether it has to be a leaf.
    pub(crate) fn is_leaf(self) -> bool {
        matches!(self, Self::Untried | Self::Weak)
    }

    /// Whether it feeds others in need, measured or not.
    pub(crate) fn may_relay(self) -> bool {
        self != Self::Weak
    }
}

/// Whom a node helps besides its children; at most as many as it has copies.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clients([Slot; COPIES]);

impl Clients {
    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = Slot> + use<> {
        self.0.into_iter().filter(|client| *client != Slot::NONE)
    }

    pub(crate) fn len(&self) -> usize {
        self.iter().count()
    }

    /// False when there is no room.
    pub(crate) fn insert(&mut self, client: Slot) -> bool {
        let free = self.0.iter_mut().find(|free| **free == Slot::NONE);
        free.map(|free| *free = client).is_some()
    }

    pub(crate) fn remove(&mut self, client: Slot) {
        self.0.iter_mut().filter(|known| **known == client).for_each(|known| *known = Slot::NONE);
    }
}

/// What a node is marked with, a bit each.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Marks(u8);

impl Marks {
    /// Among the leaves of its level, or about to be listed there.
    pub(crate) const LISTED: u8 = 1;
    /// Its edges are looked at in this round.
    pub(crate) const TOUCHED: u8 = 1 << 1;
    /// It has a place and no backup.
    pub(crate) const UNBACKED: u8 = 1 << 2;
    /// It has a place and no helper.
    pub(crate) const UNHELPED: u8 = 1 << 3;
    /// Its slot is in the queue of those without a backup.
    pub(crate) const UNBACKED_QUEUED: u8 = 1 << 4;
    /// Its slot is in the queue of those without a helper.
    pub(crate) const UNHELPED_QUEUED: u8 = 1 << 5;
    /// It has left, and its slot is not free yet.
    pub(crate) const GONE: u8 = 1 << 6;

    pub(crate) fn has(self, mark: u8) -> bool {
        self.0 & mark != 0
    }

    /// Sets or takes away a mark; true if it was there before.
    pub(crate) fn set(&mut self, mark: u8, on: bool) -> bool {
        let before = self.has(mark);
        self.0 = if on { self.0 | mark } else { self.0 & !mark };
        before
    }

    /// What is left when another node takes the slot.
    fn of_slot(self) -> Self {
        Self(self.0 & (Self::UNBACKED_QUEUED | Self::UNHELPED_QUEUED))
    }
}

/// A node and what its edges depend on, in one cache line. What others ask of it because of its place is in its seat.
#[derive(Clone, Debug)]
#[repr(align(64))]
pub(crate) struct Node {
    pub(crate) id: NodeId,
    /// Since when it counts as being here: its joining, or its last demotion.
    pub(crate) since: Micros,
    pub(crate) place: Place,
    /// Its parent in the topology, once the plan is committed; none if it has no edges there.
    pub(crate) parent: Slot,
    /// Its first standby in the topology, once the plan is committed.
    pub(crate) grandparent: Slot,
    pub(crate) backup: Slot,
    /// An older node elsewhere, which it may ask in need.
    pub(crate) helper: Slot,
    /// Those it is the backup of.
    pub(crate) backs: Clients,
    /// Those it is the helper of.
    pub(crate) helps: Clients,
    /// How many it feeds.
    pub(crate) children: u8,
    pub(crate) capacity: u8,
    pub(crate) ability: Ability,
    pub(crate) marks: Marks,
}

impl Node {
    pub(crate) fn new(id: NodeId, member: &Member) -> Self {
        Self {
            id,
            since: member.joined_at,
            place: Place::NONE,
            parent: Slot::NONE,
            grandparent: Slot::NONE,
            backup: Slot::NONE,
            helper: Slot::NONE,
            backs: Clients([Slot::NONE; COPIES]),
            helps: Clients([Slot::NONE; COPIES]),
            children: 0,
            capacity: member.capacity,
            ability: Ability::of(member, !member.children().is_empty()),
            marks: Marks::default(),
        }
    }

    /// Older is less; ties go by name.
    pub(crate) fn age(&self) -> (Micros, NodeId) {
        (self.since, self.id)
    }

    pub(crate) fn is_placed(&self) -> bool {
        self.place != Place::NONE
    }

    /// Whether it has a place and feeds nobody.
    pub(crate) fn is_leaf(&self) -> bool {
        self.is_placed() && self.children == 0
    }
}

/// Names come from a counter, so eight in a row share a part of the table, and those who join together a cache line of it.
/// The table compares the upper bits first, so those differ.
fn hash_of(id: NodeId) -> u64 {
    let within = id.0 % 8;
    mix(id.0 / 8).wrapping_add(within | within << 61)
}

/// All nodes, by slot and by name.
#[derive(Clone, Debug, Default)]
pub(crate) struct Nodes {
    nodes: Vec<Node>,
    index: HashTable<u32>,
    free: Vec<Slot>,
}

impl Index<Slot> for Nodes {
    type Output = Node;

    fn index(&self, slot: Slot) -> &Node {
        &self.nodes[slot.0 as usize]
    }
}

impl IndexMut<Slot> for Nodes {
    fn index_mut(&mut self, slot: Slot) -> &mut Node {
        &mut self.nodes[slot.0 as usize]
    }
}

impl Nodes {
    /// How many slots there are, taken or free.
    pub(crate) fn slots(&self) -> usize {
        self.nodes.len()
    }

    pub(crate) fn len(&self) -> usize {
        self.index.len()
    }

    pub(crate) fn get(&self, slot: Slot) -> Option<&Node> {
        self.nodes.get(slot.0 as usize)
    }

    pub(crate) fn find(&self, id: NodeId) -> Option<Slot> {
        self.index.find(hash_of(id), |slot| self.nodes[*slot as usize].id == id).map(|slot| Slot(*slot))
    }

    /// Takes in a node that is not there yet.
    pub(crate) fn insert(&mut self, node: Node) -> Slot {
        let id = node.id;
        let slot = match self.free.pop() {
            Some(slot) => {
                let marks = self[slot].marks.of_slot();
                self[slot] = Node { marks, ..node };
                slot
            }
            None => {
                self.make_room();
                self.nodes.push(node);
                Slot(self.nodes.len() as u32 - 1)
            }
        };
        let nodes = &self.nodes;
        self.index.insert_unique(hash_of(id), slot.0, |slot| hash_of(nodes[*slot as usize].id));
        slot
    }

    /// The node is not found by its name any more; its slot stays taken until [`Self::free`].
    pub(crate) fn forget(&mut self, slot: Slot) {
        let hash = hash_of(self[slot].id);
        if let Ok(entry) = self.index.find_entry(hash, |known| *known == slot.0) {
            entry.remove();
        }
    }

    /// The slot may be taken by another node.
    pub(crate) fn free(&mut self, slot: Slot) {
        self.free.push(slot);
    }

    /// Grows by a quarter, not by half, to waste less.
    fn make_room(&mut self) {
        if self.nodes.len() == self.nodes.capacity() {
            self.nodes.reserve_exact(self.nodes.len() / 4 + 16);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_fills_one_cache_line() {
        assert_eq!((size_of::<Node>(), align_of::<Node>()), (64, 64));
    }
}
