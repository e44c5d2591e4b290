//! What is remembered of each node, in one array.

use std::ops::{Index, IndexMut};

use hashbrown::HashTable;
use peerstream_sdk::overlay::Member;
use peerstream_sdk::protocol::id::NodeId;
use peerstream_sdk::protocol::time::Micros;

use crate::chance::mix;
use crate::place::Place;
use crate::retry::Lack;

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

/// The edges of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Edges {
    pub(crate) parent: Slot,
    pub(crate) backup: Slot,
    /// The grandparent, and an older node elsewhere.
    pub(crate) standby: [Slot; 2],
}

impl Edges {
    pub(crate) const NONE: Self = Self { parent: Slot::NONE, backup: Slot::NONE, standby: [Slot::NONE; 2] };
}

/// A node and what its place and its edges depend on.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) id: NodeId,
    /// Since when it counts as being here: its joining, or its last demotion.
    pub(crate) since: Micros,
    pub(crate) place: Place,
    /// The edges that the topology has, once the plan is committed.
    pub(crate) edges: Edges,
    pub(crate) backup: Slot,
    /// An older node elsewhere, which it may ask in need.
    pub(crate) helper: Slot,
    /// Those it is the backup of.
    pub(crate) backs: Clients,
    /// Those it is the helper of.
    pub(crate) helps: Clients,
    /// How many it feeds.
    pub(crate) children: u8,
    /// When it came to its place, in seconds.
    pub(crate) placed_s: u32,
    pub(crate) cause: Cause,
    pub(crate) capacity: u8,
    /// It cannot or should not feed others, so it has to be a leaf.
    pub(crate) weak: bool,
    /// It is weak only because its uplink is still to be measured.
    pub(crate) untried: bool,
    /// It feeds others although that is so, since there was nobody else.
    pub(crate) trusted: bool,
    /// Among the leaves of its level.
    pub(crate) listed: bool,
    /// Its edges are looked at in this round.
    pub(crate) touched: bool,
    pub(crate) unbacked: Lack,
    pub(crate) unhelped: Lack,
}

impl Node {
    pub(crate) fn new(id: NodeId, member: &Member) -> Self {
        let trusted = member.untried && !member.children().is_empty();
        let untried = is_untried(member) && !trusted;
        Self {
            id,
            since: member.joined_at,
            place: Place::NONE,
            edges: Edges::NONE,
            backup: Slot::NONE,
            helper: Slot::NONE,
            backs: Clients([Slot::NONE; COPIES]),
            helps: Clients([Slot::NONE; COPIES]),
            children: 0,
            placed_s: 0,
            cause: Cause::Joined,
            capacity: member.capacity,
            weak: is_weak(member) || untried,
            untried,
            trusted,
            listed: false,
            touched: false,
            unbacked: Lack::default(),
            unhelped: Lack::default(),
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

/// It could not feed two, so it is to feed nobody.
pub(crate) fn is_weak(member: &Member) -> bool {
    member.room() < FAN_OUT
}

/// It could feed two children, but nobody knows yet whether its uplink carries them.
pub(crate) fn is_untried(member: &Member) -> bool {
    member.untried && !is_weak(member)
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

    pub(crate) fn find(&self, id: NodeId) -> Option<Slot> {
        self.index.find(mix(id.0), |slot| self.nodes[*slot as usize].id == id).map(|slot| Slot(*slot))
    }

    /// Takes in a node that is not there yet.
    pub(crate) fn insert(&mut self, node: Node) -> Slot {
        let id = node.id;
        let slot = match self.free.pop() {
            Some(slot) => {
                let (unbacked, unhelped) = (self[slot].unbacked.of_slot(), self[slot].unhelped.of_slot());
                self[slot] = Node { unbacked, unhelped, ..node };
                slot
            }
            None => {
                self.make_room();
                self.nodes.push(node);
                Slot(self.nodes.len() as u32 - 1)
            }
        };
        let nodes = &self.nodes;
        self.index.insert_unique(mix(id.0), slot.0, |slot| mix(nodes[*slot as usize].id.0));
        slot
    }

    /// The node is not found by its name any more; its slot stays taken until [`Self::free`].
    pub(crate) fn forget(&mut self, slot: Slot) {
        let hash = mix(self[slot].id.0);
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
