//! Who is at which place, and the moves of the dumbbell.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use peerstream_sdk::protocol::id::NodeId;
use peerstream_sdk::protocol::time::Micros;

use crate::place::Place;

/// Holes looked at for one move of compaction.
const HOLES_LOOKED_AT: usize = 32;

/// A node with what its place depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Occupant {
    pub(crate) node: NodeId,
    pub(crate) joined_at: Micros,
    /// It cannot or should not feed others, so it has to be a leaf.
    pub(crate) weak: bool,
}

impl Occupant {
    /// Older is less; ties go by name.
    fn age(&self) -> (Micros, NodeId) {
        (self.joined_at, self.node)
    }
}

/// A leaf, the deepest first, then those that relay, then the oldest.
type Leaf = (Reverse<u32>, bool, Micros, NodeId);

/// The two trees. Every change costs time in proportion to the depth at most.
#[derive(Clone, Debug)]
pub(crate) struct Tree {
    at: BTreeMap<Place, Occupant>,
    place: BTreeMap<NodeId, Place>,
    /// Empty places that somebody would feed.
    open: BTreeSet<Place>,
    weak: BTreeSet<Place>,
    leaves: BTreeSet<Leaf>,
    /// Those for whom there is no place, the oldest first.
    waiting: BTreeMap<(Micros, NodeId), Occupant>,
    waiting_since: BTreeMap<NodeId, Micros>,
    /// Places whose occupant has changed since [`Self::take_changed`].
    changed: BTreeSet<Place>,
    /// Moves after which a node was older than its new parent.
    pub(crate) inversions: u64,
    /// Moves of nodes that already had a place.
    pub(crate) moves: u64,
}

impl Default for Tree {
    fn default() -> Self {
        Self {
            at: BTreeMap::new(),
            place: BTreeMap::new(),
            open: Place::ROOTS.into(),
            weak: BTreeSet::new(),
            leaves: BTreeSet::new(),
            waiting: BTreeMap::new(),
            waiting_since: BTreeMap::new(),
            changed: BTreeSet::new(),
            inversions: 0,
            moves: 0,
        }
    }
}

impl Tree {
    pub(crate) fn occupant(&self, place: Place) -> Option<&Occupant> {
        self.at.get(&place)
    }

    pub(crate) fn place_of(&self, node: NodeId) -> Option<Place> {
        self.place.get(&node).copied()
    }

    pub(crate) fn is_waiting(&self, node: NodeId) -> bool {
        self.waiting_since.contains_key(&node)
    }

    pub(crate) fn is_known(&self, node: NodeId) -> bool {
        self.place.contains_key(&node) || self.is_waiting(node)
    }

    pub(crate) fn is_leaf(&self, place: Place) -> bool {
        place.children().iter().all(|child| !self.at.contains_key(child))
    }

    pub(crate) fn open(&self) -> impl Iterator<Item = Place> {
        self.open.iter().copied()
    }

    /// Places whose occupant has changed since the last call.
    pub(crate) fn take_changed(&mut self) -> BTreeSet<Place> {
        std::mem::take(&mut self.changed)
    }

    // Joining.

    /// Finds a place for a node that has none: the shallowest free one, or, if it relays, that of a weak node which
    /// keeps shallower places from being.
    pub(crate) fn settle_in(&mut self, newcomer: Occupant) {
        let open = self.open.first().copied();
        let blocker = self.weak.first().copied().filter(|weak| {
            let below = weak.children()[0];
            !newcomer.weak && open.is_none_or(|open| below.level() < open.level())
        });
        match (blocker, open) {
            (Some(place), _) => {
                let weak = self.take(place).expect("a weak node is there");
                self.put(place, newcomer);
                self.moves += 1;
                self.put(place.children()[0], weak);
            }
            (None, Some(place)) => self.put(place, newcomer),
            (None, None) => self.wait(newcomer),
        }
    }

    /// Finds places for those who wait, as long as there are any.
    pub(crate) fn seat_waiting(&mut self) {
        while let Some(place) = self.open.first().copied() {
            let Some((_, occupant)) = self.waiting.pop_first() else { return };
            self.waiting_since.remove(&occupant.node);
            self.put(place, occupant);
        }
    }

    pub(crate) fn forget_waiting(&mut self, node: NodeId) {
        if let Some(joined_at) = self.waiting_since.remove(&node) {
            self.waiting.remove(&(joined_at, node));
        }
    }

    fn wait(&mut self, occupant: Occupant) {
        self.waiting_since.insert(occupant.node, occupant.joined_at);
        self.waiting.insert(occupant.age(), occupant);
    }

    // Leaving.

    /// Fills a gap: the older child moves up, its own gap is filled the same way, until the gap is at a leaf.
    pub(crate) fn fill(&mut self, mut gap: Place) {
        while let Some(heir) = self.heir(gap) {
            self.shift(heir, gap);
            gap = heir;
        }
        if !self.is_leaf(gap) {
            self.fill_above_weak(gap);
        }
    }

    /// The older of the gap's children that relay.
    fn heir(&self, gap: Place) -> Option<Place> {
        let strong = gap.children().into_iter().filter_map(|child| Some((self.at.get(&child)?, child)));
        strong.filter(|(occupant, _)| !occupant.weak).min_by_key(|(occupant, _)| occupant.age()).map(|(_, child)| child)
    }

    /// The children of the gap cannot take it and go on feeding each other: a leaf that relays comes from the bottom.
    fn fill_above_weak(&mut self, gap: Place) {
        if let Some(leaf) = self.strong_leaf_for(gap) {
            return self.shift(leaf, gap);
        }
        let mut weak: Vec<_> = gap.children().into_iter().filter(|child| self.at.contains_key(child)).collect();
        weak.sort_by_key(|child| self.at[child].age());
        self.shift(weak[0], gap);
        for other in weak.into_iter().skip(1) {
            // Other gaps may still be open above, so its new place is found once all are filled.
            let occupant = self.take(other).expect("it was found there");
            self.moves += 1;
            self.wait(occupant);
        }
    }

    /// The oldest relaying leaf of the deepest level that is not older than the gap's parent, else the youngest one.
    fn strong_leaf_for(&self, gap: Place) -> Option<Place> {
        let above = gap.parent();
        let deepest = self.leaves.first()?.0.0;
        (gap.level()..=deepest).rev().find_map(|level| self.leaf_of(level, Some(false), gap, above))
    }

    /// A leaf of that level to be put into `gap`; `weak` restricts the choice.
    fn leaf_of(&self, level: u32, weak: Option<bool>, gap: Place, never: Option<Place>) -> Option<Place> {
        let parent = gap.parent().and_then(|parent| self.at.get(&parent)).map_or(Micros(0), |parent| parent.joined_at);
        let kinds: &[bool] = if weak == Some(false) { &[false] } else { &[false, true] };
        let range = |kind: bool, from: Micros| {
            let low = (Reverse(level), kind, from, NodeId(0));
            let high = (Reverse(level), kind, Micros(u64::MAX), NodeId(u64::MAX));
            self.leaves.range(low..=high).map(|(_, _, _, node)| self.place[node])
        };
        let fits = |place: &Place| Some(*place) != never && *place != gap;
        let younger = kinds.iter().find_map(|kind| range(*kind, parent).find(fits));
        younger.or_else(|| kinds.iter().find_map(|kind| range(*kind, Micros(0)).rev().find(fits)))
    }

    // Compaction.

    /// Moves one leaf of the last level up into a hole, if the last level could be emptied that way.
    pub(crate) fn compact(&mut self) -> bool {
        let Some((Reverse(last), ..)) = self.leaves.first().copied() else { return false };
        let room_above = Place::first_of(last).position() as usize * 2 - 2;
        if self.at.len() > room_above {
            return false;
        }
        let holes: Vec<_> = self.open.range(..Place::first_of(last)).take(HOLES_LOOKED_AT).copied().collect();
        let lone = holes.iter().find(|hole| self.at.contains_key(&hole.twin()));
        let Some(hole) = lone.or(holes.first()).copied() else { return false };
        let Some(leaf) = self.leaf_of(last, None, hole, None) else { return false };
        self.shift(leaf, hole);
        true
    }

    // Elementary changes.

    pub(crate) fn put(&mut self, place: Place, occupant: Occupant) {
        debug_assert!(!self.at.contains_key(&place), "{place} is taken");
        let parent = place.parent().and_then(|parent| self.at.get(&parent));
        let inverted = parent.is_some_and(|parent| !occupant.weak && parent.age() > occupant.age());
        self.inversions += u64::from(inverted);
        self.change(place, Some(occupant));
    }

    pub(crate) fn take(&mut self, place: Place) -> Option<Occupant> {
        self.change(place, None)
    }

    /// Changes whether the occupant is weak; it must be a leaf if it becomes so.
    pub(crate) fn set_weak(&mut self, place: Place, weak: bool) {
        if let Some(occupant) = self.at.get(&place).copied() {
            self.change(place, Some(Occupant { weak, ..occupant }));
        }
    }

    pub(crate) fn shift(&mut self, from: Place, to: Place) {
        if let Some(occupant) = self.take(from) {
            self.moves += 1;
            self.put(to, occupant);
        }
    }

    fn change(&mut self, place: Place, occupant: Option<Occupant>) -> Option<Occupant> {
        let [left, right] = place.children();
        let around = [Some(place), place.parent(), Some(left), Some(right)];
        around.into_iter().flatten().for_each(|place| self.unindex(place));
        let old = self.at.remove(&place);
        if let Some(old) = old {
            self.place.remove(&old.node);
        }
        if let Some(new) = occupant {
            self.at.insert(place, new);
            self.place.insert(new.node, place);
        }
        around.into_iter().flatten().for_each(|place| self.index(place));
        self.changed.insert(place);
        old
    }

    fn unindex(&mut self, place: Place) {
        self.open.remove(&place);
        self.weak.remove(&place);
        if let Some(occupant) = self.at.get(&place) {
            self.leaves.remove(&leaf(place, occupant));
        }
    }

    fn index(&mut self, place: Place) {
        match self.at.get(&place) {
            Some(occupant) => {
                if occupant.weak {
                    self.weak.insert(place);
                }
                if self.is_leaf(place) {
                    self.leaves.insert(leaf(place, occupant));
                }
            }
            None if self.is_fed(place) => drop(self.open.insert(place)),
            None => {}
        }
    }

    fn is_fed(&self, place: Place) -> bool {
        place.parent().is_none_or(|parent| self.at.get(&parent).is_some_and(|parent| !parent.weak))
    }

    /// The deepest leaves first, those that relay before weak ones, the youngest first within each.
    pub(crate) fn leaves(&self) -> impl Iterator<Item = Place> {
        self.leaves.iter().map(|(_, _, _, node)| self.place[node])
    }
}

fn leaf(place: Place, occupant: &Occupant) -> Leaf {
    (Reverse(place.level()), occupant.weak, occupant.joined_at, occupant.node)
}
