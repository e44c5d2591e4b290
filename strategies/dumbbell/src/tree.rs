//! Who is at which place, and the moves of the dumbbell.

use std::collections::BTreeSet;

use peerstream_sdk::protocol::id::NodeId;
use peerstream_sdk::protocol::time::Micros;

use crate::leaves::{Choice, Leaf, Leaves};
use crate::node::{Cause, Node, Nodes, Slot};
use crate::place::{Forest, Place};
use crate::place_set::PlaceSet;

/// What was done to the trees.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) moves: u64,
    pub(crate) compactions: u64,
    pub(crate) inversions: u64,
}

/// The two trees. Every change costs time in proportion to the depth at most.
#[derive(Clone, Debug)]
pub(crate) struct Tree {
    pub(crate) nodes: Nodes,
    pub(crate) forest: Forest,
    pub(crate) tally: Tally,
    /// Now, on the coordinator's clock.
    pub(crate) now: Micros,
    at: Vec<Slot>,
    placed: usize,
    /// Empty places that somebody would feed.
    open: PlaceSet,
    /// Those of them whose twin place is taken.
    lone: PlaceSet,
    weak: PlaceSet,
    /// Places of nodes whose uplink is still to be measured.
    untried: PlaceSet,
    leaves: Leaves,
    /// Those for whom there is no place, first those that relay, then the oldest.
    waiting: BTreeSet<(bool, Micros, NodeId, Slot)>,
    /// Places whose occupant has changed in this round; some more than once.
    pub(crate) changed: Vec<Place>,
    /// Nodes that lost their place in this round.
    pub(crate) displaced: Vec<Slot>,
}

impl Tree {
    pub(crate) fn new(forest: Forest, now: Micros) -> Self {
        let mut open = PlaceSet::default();
        forest.roots().for_each(|root| open.insert(root));
        Self {
            nodes: Nodes::default(),
            forest,
            tally: Tally::default(),
            now,
            at: Vec::new(),
            placed: 0,
            open,
            lone: PlaceSet::default(),
            weak: PlaceSet::default(),
            untried: PlaceSet::default(),
            leaves: Leaves::default(),
            waiting: BTreeSet::new(),
            changed: Vec::new(),
            displaced: Vec::new(),
        }
    }

    /// Who is there.
    pub(crate) fn at(&self, place: Place) -> Option<Slot> {
        self.at_index(place.index())
    }

    /// Who is at the n-th place.
    pub(crate) fn at_index(&self, index: usize) -> Option<Slot> {
        self.at.get(index)?.some()
    }

    pub(crate) fn node_at(&self, place: Place) -> Option<&Node> {
        self.at(place).map(|slot| &self.nodes[slot])
    }

    /// Whether whoever is there, if anybody, feeds nobody.
    pub(crate) fn is_leaf(&self, place: Place) -> bool {
        self.forest.children(place).all(|child| self.at(child).is_none())
    }

    /// Empty places that somebody would feed, the shallowest first.
    pub(crate) fn open(&self) -> impl Iterator<Item = Place> {
        self.open.iter()
    }

    /// Now, in seconds.
    pub(crate) fn now_s(&self) -> u32 {
        (self.now.0 / 1_000_000) as u32
    }

    /// Who feeds the place; none when nobody does.
    pub(crate) fn feeder(&self, place: Place) -> Option<Slot> {
        self.forest.parent(place).map_or(Some(Slot::SOURCE), |parent| self.at(parent))
    }

    /// The name behind a slot.
    pub(crate) fn name(&self, slot: Slot) -> Option<NodeId> {
        match slot {
            Slot::NONE => None,
            Slot::SOURCE => Some(NodeId::SOURCE),
            slot => Some(self.nodes[slot].id),
        }
    }

    // Joining.

    /// Finds a place for a node that has none: the shallowest free one, or, if it relays, that of a weak node which
    /// keeps shallower places from being.
    pub(crate) fn settle_in(&mut self, newcomer: Slot, cause: Cause) {
        let open = self.open_place();
        let level = |place: Place| self.forest.level(place);
        let blocks = |weak: &Place| open.is_none_or(|open| level(*weak) + 1 < level(open));
        let blocker = self.weak.first().filter(|weak| !self.nodes[newcomer].weak && blocks(weak));
        match (blocker, open) {
            (Some(place), _) => self.displace(place, newcomer, cause),
            (None, Some(place)) => self.put(place, newcomer, cause),
            (None, None) => self.wait(newcomer),
        }
    }

    /// The newcomer takes the place of a weak node, which it feeds from then on.
    fn displace(&mut self, place: Place, newcomer: Slot, cause: Cause) {
        let weak = self.take(place).expect("a weak node is there");
        self.put(place, newcomer, cause);
        self.tally.moves += 1;
        match self.forest.children(place).next() {
            Some(below) => self.put(below, weak, Cause::GaveWay),
            None => self.wait(weak),
        }
    }

    /// Takes the shallowest free place, and nobody else's.
    pub(crate) fn settle_at_the_bottom(&mut self, node: Slot, cause: Cause) {
        match self.open_place() {
            Some(place) => self.put(place, node, cause),
            None => self.settle_in(node, cause),
        }
    }

    /// The shallowest free place. Nobody is fed by a node whose uplink is still to be measured, unless there is no other
    /// place: then the shallowest of these is trusted.
    fn open_place(&mut self) -> Option<Place> {
        if let Some(open) = self.open.first() {
            return Some(open);
        }
        let place = self.untried.first()?;
        self.trust(place);
        self.open.first()
    }

    /// Whoever is there feeds others from now on, even if its uplink is still to be measured.
    fn trust(&mut self, place: Place) {
        let Some(slot) = self.at(place).filter(|slot| self.nodes[*slot].untried) else { return };
        self.nodes[slot].trusted = true;
        self.set_ability(place, false, false);
    }

    /// Finds places for those who wait, as long as there are any.
    pub(crate) fn seat_waiting(&mut self) {
        while !self.waiting.is_empty() {
            let Some(place) = self.open_place() else { return };
            let Some((.., slot)) = self.waiting.pop_first() else { return };
            self.put(place, slot, Cause::Joined);
        }
    }

    /// How many there is no place for.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    pub(crate) fn forget_waiting(&mut self, slot: Slot) {
        self.waiting.remove(&self.turn(slot));
    }

    fn wait(&mut self, slot: Slot) {
        self.waiting.insert(self.turn(slot));
        self.displaced.push(slot);
    }

    fn turn(&self, slot: Slot) -> (bool, Micros, NodeId, Slot) {
        let (since, id) = self.nodes[slot].age();
        (self.nodes[slot].weak, since, id, slot)
    }

    // Leaving.

    /// Fills a gap: the older child moves up, its own gap is filled the same way, until the gap is at a leaf.
    pub(crate) fn fill(&mut self, mut gap: Place) {
        while let Some((heir, cause)) = self.heir(gap) {
            self.trust(heir);
            self.shift(heir, gap, cause);
            gap = heir;
        }
        if !self.is_leaf(gap) {
            self.fill_above_weak(gap);
        }
    }

    /// The older of the gap's children that relay, measured or not; for a single root the best uplink of them, then the oldest.
    fn heir(&self, gap: Place) -> Option<(Place, Cause)> {
        let by_uplink = self.forest.has_single_root() && self.forest.parent(gap).is_none();
        let relays = |child: &Place| self.node_at(*child).filter(|node| !node.weak || node.untried);
        let children = self.forest.children(gap).filter_map(|child| Some((child, relays(&child)?)));
        let rank = |node: &Node| (if by_uplink { u8::MAX - node.capacity } else { 0 }, node.age());
        let heir = children.min_by_key(|(_, node)| rank(node)).map(|(child, _)| child)?;
        Some((heir, if by_uplink { Cause::BestUplink } else { Cause::Rose }))
    }

    /// Puts the best uplink next to the single root in its place, if it is better. True when it was.
    pub(crate) fn improve_single_root(&mut self) -> bool {
        let Some(root) = self.forest.roots().next().filter(|_| self.forest.has_single_root()) else { return false };
        let Some((heir, _)) = self.heir(root) else { return false };
        let capacity = |place: Place| self.node_at(place).map_or(0, |node| node.capacity);
        if capacity(heir) <= capacity(root) {
            return false;
        }
        self.trust(heir);
        self.exchange(root, heir, Cause::BestUplink);
        true
    }

    /// The children of the gap cannot take it and go on feeding each other: a leaf that relays comes from the bottom.
    fn fill_above_weak(&mut self, gap: Place) {
        if let Some(leaf) = self.called_up(gap) {
            return self.shift(leaf, gap, Cause::CalledUp);
        }
        let mut weak: Vec<_> = self.forest.children(gap).filter(|child| self.at(*child).is_some()).collect();
        weak.sort_by_key(|child| self.node_at(*child).map(Node::age));
        self.shift(weak[0], gap, Cause::Rose);
        for other in weak.into_iter().skip(1) {
            // Other gaps may still be open above, so its new place is found once all are filled.
            let slot = self.take(other).expect("it was found there");
            self.tally.moves += 1;
            self.wait(slot);
        }
    }

    /// Whether somebody else could take this place and feed those below it.
    pub(crate) fn has_successor(&mut self, place: Place) -> bool {
        self.heir(place).is_some() || self.called_up(place).is_some()
    }

    /// The leaf that takes a place whose children are all weak: one that relays, of the last level that has one.
    fn called_up(&mut self, gap: Place) -> Option<Place> {
        let last = self.leaves.last_level()?;
        (self.forest.level(gap)..=last).rev().find_map(|level| self.strong_leaf_for(gap, level))
    }

    /// The oldest leaf of a level that relays and is not older than the gap's parent, else the youngest that relays.
    fn strong_leaf_for(&mut self, gap: Place, level: u32) -> Option<Place> {
        let parent = self.forest.parent(gap).and_then(|parent| self.node_at(parent));
        let since = parent.map_or(Micros(0), |parent| parent.since);
        let younger = self.leaf_of(level, Choice::OldestSince(since), gap);
        younger.or_else(|| self.leaf_of(level, Choice::YoungestBefore(since), gap))
    }

    /// The first of those leaves that does not feed the gap itself.
    fn leaf_of(&mut self, level: u32, choice: Choice, gap: Place) -> Option<Place> {
        let feeder = self.forest.parent(gap);
        let mut seen = None;
        while let Some(leaf) = self.leaves.entry(level, choice, seen) {
            seen = Some(leaf);
            if !self.is_entry_of(leaf, level) {
                self.leaves.strike(level, leaf);
                continue;
            }
            let node = &mut self.nodes[leaf.slot()];
            if !node.is_leaf() {
                node.listed = false;
                self.leaves.strike(level, leaf);
            } else if Some(node.place) != feeder {
                return Some(node.place);
            }
        }
        None
    }

    /// Whether the entry of that level's list is a node's as it is now.
    fn is_entry_of(&self, leaf: Leaf, level: u32) -> bool {
        let node = &self.nodes[leaf.slot()];
        node.listed && self.forest.level(node.place) == level && Leaf::of(leaf.slot(), node) == leaf
    }

    // Compaction.

    /// Moves one leaf of the last level up, if the last level could be emptied that way: into a hole, those beside a lone
    /// twin first, or, if it relays and there is none, to the place of a weak node that keeps such holes from being.
    pub(crate) fn compact(&mut self) -> bool {
        let Some(last) = self.leaves.last_level() else { return false };
        let limit = self.forest.first_of(last);
        if self.placed > self.forest.places_above(last) {
            return false;
        }
        let above = |hole: &Place| *hole < limit;
        let Some(hole) = self.lone.first().filter(above).or(self.open.first().filter(above)) else {
            return self.make_way(last);
        };
        let strong = self.strong_leaf_for(hole, last);
        let Some(leaf) = strong.or_else(|| self.leaf_of(last, Choice::Weak, hole)) else { return false };
        self.shift(leaf, hole, Cause::Compacted);
        self.tally.compactions += 1;
        true
    }

    /// A node that relays and sits two levels deeper or more takes the place of the shallowest weak node: a leaf if there
    /// is one, else one that feeds weak nodes of the last level.
    fn make_way(&mut self, last: u32) -> bool {
        let Some(place) = self.weak.first() else { return false };
        let levels = self.forest.level(place) + 2..=last;
        let mut riser = levels.clone().rev().find_map(|level| self.strong_leaf_for(place, level));
        if riser.is_none() {
            let above = self.leaf_of(last, Choice::Weak, place).and_then(|leaf| self.forest.parent(leaf));
            riser = above.filter(|above| levels.contains(&self.forest.level(*above)));
        }
        let Some((from, riser)) = riser.and_then(|from| Some((from, self.take(from)?))) else { return false };
        self.fill(from);
        self.tally.moves += 1;
        self.tally.compactions += 1;
        self.displace(place, riser, Cause::Compacted);
        true
    }

    // Elementary changes.

    pub(crate) fn shift(&mut self, from: Place, to: Place, cause: Cause) {
        if let Some(slot) = self.take(from) {
            self.tally.moves += 1;
            self.put(to, slot, cause);
        }
    }

    /// Two nodes change places.
    pub(crate) fn exchange(&mut self, one: Place, other: Place, cause: Cause) {
        if let (Some(first), Some(second)) = (self.take(one), self.take(other)) {
            self.tally.moves += 2;
            self.put(one, second, cause);
            self.put(other, first, cause);
        }
    }

    pub(crate) fn put(&mut self, place: Place, slot: Slot, cause: Cause) {
        debug_assert!(self.at(place).is_none(), "{place} is taken");
        if self.at.len() <= place.index() {
            self.at.resize(place.index() + 1, Slot::NONE);
        }
        self.at[place.index()] = slot;
        self.placed += 1;
        self.leaves.arrive(self.forest.level(place));
        let placed_s = self.now_s();
        let children = self.forest.children(place).filter(|child| self.at(*child).is_some()).count() as u8;
        let node = &mut self.nodes[slot];
        (node.place, node.placed_s, node.cause, node.children) = (place, placed_s, cause, children);
        let (weak, untried, age) = (node.weak, node.untried, node.age());
        if let Some(parent) = self.forest.parent(place).and_then(|parent| self.at(parent)) {
            let parent = &mut self.nodes[parent];
            parent.children += 1;
            self.tally.inversions += u64::from(!weak && parent.age() > age);
        }
        self.close(place);
        if self.open.contains(place.twin()) {
            self.lone.insert(place.twin());
        }
        match (weak, untried) {
            (false, _) => self.open_below(place),
            (true, false) => self.weak.insert(place),
            (true, true) => self.untried.insert(place),
        }
        self.list_if_leaf(slot);
        self.changed.push(place);
    }

    pub(crate) fn take(&mut self, place: Place) -> Option<Slot> {
        let slot = self.at(place)?;
        self.at[place.index()] = Slot::NONE;
        self.placed -= 1;
        self.leaves.depart(self.forest.level(place));
        let node = &mut self.nodes[slot];
        (node.place, node.listed, node.children) = (Place::NONE, false, 0);
        self.weak.remove(place);
        self.untried.remove(place);
        self.lone.remove(place.twin());
        self.forest.children(place).for_each(|child| self.close(child));
        match self.forest.parent(place).map(|parent| self.at(parent)) {
            None => self.open_up(place),
            Some(Some(parent)) => {
                self.nodes[parent].children -= 1;
                if !self.nodes[parent].weak {
                    self.open_up(place);
                }
                self.list_if_leaf(parent);
            }
            Some(None) => {}
        }
        self.changed.push(place);
        Some(slot)
    }

    /// Changes whether the occupant is weak, and only for not having been tried; it must be a leaf if it becomes weak.
    pub(crate) fn set_ability(&mut self, place: Place, weak: bool, untried: bool) {
        let Some(slot) = self.at(place) else { return };
        let node = &mut self.nodes[slot];
        if (node.weak, node.untried) == (weak, untried) {
            return;
        }
        (node.weak, node.untried, node.listed) = (weak, untried, false);
        self.weak.remove(place);
        self.untried.remove(place);
        match (weak, untried) {
            (false, _) => self.open_below(place),
            (true, false) => self.weak.insert(place),
            (true, true) => self.untried.insert(place),
        }
        if weak {
            self.forest.children(place).for_each(|child| self.close(child));
        }
        self.list_if_leaf(slot);
        self.changed.push(place);
    }

    fn open_below(&mut self, place: Place) {
        for child in self.forest.children(place) {
            if self.at(child).is_none() {
                self.open_up(child);
            }
        }
    }

    fn open_up(&mut self, place: Place) {
        self.open.insert(place);
        if self.at(place.twin()).is_some() {
            self.lone.insert(place);
        }
    }

    fn close(&mut self, place: Place) {
        self.open.remove(place);
        self.lone.remove(place);
    }

    fn list_if_leaf(&mut self, slot: Slot) {
        let node = &mut self.nodes[slot];
        if node.listed || !node.is_leaf() {
            return;
        }
        node.listed = true;
        let (leaf, level) = (Leaf::of(slot, node), self.forest.level(node.place));
        let mut leaves = std::mem::take(&mut self.leaves);
        leaves.list(level, leaf, |leaf| self.is_entry_of(leaf, level));
        self.leaves = leaves;
    }
}
