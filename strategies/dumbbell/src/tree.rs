//! Who is at which place, and the moves of the dumbbell.

use std::collections::BTreeSet;

use peerstream_sdk::protocol::id::NodeId;
use peerstream_sdk::protocol::time::Micros;

use crate::leaves::{Choice, Leaf, Leaves};
use crate::node::{Ability, Cause, Marks, Nodes, Slot};
use crate::place::{Forest, Place};
use crate::place_set::PlaceSet;
use crate::preference::{Peer, Preference, Trees};
use crate::seats::{Seat, Seats};

/// So many leaves, besides as many as there are nodes, may wait to be listed.
const UNLISTED_MAX: usize = 1024;

/// What was done to the trees.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) moves: u64,
    pub(crate) compactions: u64,
    pub(crate) exchanges: u64,
    pub(crate) settled: u64,
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
    seats: Seats,
    placed: usize,
    /// Empty places that somebody would feed.
    open: PlaceSet,
    /// Those of them whose twin place is taken.
    lone: PlaceSet,
    weak: PlaceSet,
    /// Places of nodes whose uplink is still to be measured.
    untried: PlaceSet,
    leaves: Leaves,
    /// Leaves that are not in the lists of their levels yet: only a search needs the lists, and most leaves come and go
    /// between two.
    unlisted: Vec<Slot>,
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
            seats: Seats::default(),
            placed: 0,
            open,
            lone: PlaceSet::default(),
            weak: PlaceSet::default(),
            untried: PlaceSet::default(),
            leaves: Leaves::default(),
            unlisted: Vec::new(),
            waiting: BTreeSet::new(),
            changed: Vec::new(),
            displaced: Vec::new(),
        }
    }

    /// Who is there.
    pub(crate) fn at(&self, place: Place) -> Option<Slot> {
        self.seats.get(place).map(|seat| seat.slot)
    }

    /// Who is there, with what neighbours ask about them.
    pub(crate) fn seat(&self, place: Place) -> Option<&Seat> {
        self.seats.get(place)
    }

    /// Whether whoever is there, if anybody, feeds nobody.
    pub(crate) fn is_leaf(&self, place: Place) -> bool {
        self.forest.children(place).all(|child| self.at(child).is_none())
    }

    /// How many nodes have a place.
    pub(crate) fn placed(&self) -> usize {
        self.placed
    }

    /// The indices of all places that somebody has are below this.
    pub(crate) fn places_end(&self) -> usize {
        self.seats.end()
    }

    /// Empty places that somebody would feed, the shallowest first.
    pub(crate) fn open(&self) -> impl Iterator<Item = Place> {
        self.open.iter()
    }

    /// The same from a place on.
    pub(crate) fn open_from(&self, place: Place) -> impl Iterator<Item = Place> {
        self.open.iter_from(place)
    }

    /// Whether that place is empty and somebody would feed it.
    pub(crate) fn is_open(&self, place: Place) -> bool {
        self.open.contains(place)
    }

    /// Now, in seconds.
    pub(crate) fn now_s(&self) -> u32 {
        (self.now.0 / 1_000_000) as u32
    }

    /// Who feeds the place; none when nobody does.
    pub(crate) fn feeder(&self, place: Place) -> Option<Slot> {
        self.feeder_and_name(place).map(|(feeder, _)| feeder)
    }

    /// Who feeds the place, and the name; none when nobody does.
    pub(crate) fn feeder_and_name(&self, place: Place) -> Option<(Slot, NodeId)> {
        let Some(parent) = self.forest.parent(place) else { return Some((Slot::SOURCE, NodeId::SOURCE)) };
        self.seat(parent).map(|seat| (seat.slot, seat.id))
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

    /// Finds a place for a node that has none: a free one, or, if it relays, that of a weak node which keeps shallower
    /// places from being.
    pub(crate) fn settle_in(&mut self, newcomer: Slot, cause: Cause, preference: &mut impl Preference) {
        let open = self.shallowest_open();
        // Only weak nodes have places: without one nobody would ever know what it can send.
        if open.is_none() && self.nodes[newcomer].ability == Ability::Untried {
            self.nodes[newcomer].ability = Ability::Trusted;
        }
        let level = |place: Place| self.forest.level(place);
        let blocks = |weak: &Place| open.is_none_or(|open| level(*weak) + 1 < level(open));
        let blocker = self.weak.first().filter(|weak| !self.nodes[newcomer].ability.is_leaf() && blocks(weak));
        match (blocker, open) {
            (Some(place), _) => self.displace(place, newcomer, cause),
            (None, Some(_)) => self.put_preferred(newcomer, cause, preference),
            (None, None) => self.wait(newcomer),
        }
    }

    /// Puts a node to the open place that is preferred for it; there must be one.
    fn put_preferred(&mut self, slot: Slot, cause: Cause, preference: &mut impl Preference) {
        let place = preference.open_place(Trees(self), Peer::of(slot)).or(self.open.first());
        self.put(place.expect("there is an open place"), slot, cause);
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

    /// Takes a free place, and nobody else's.
    pub(crate) fn settle_at_the_bottom(&mut self, node: Slot, cause: Cause, preference: &mut impl Preference) {
        match self.shallowest_open() {
            Some(_) => self.put_preferred(node, cause, preference),
            None => self.settle_in(node, cause, preference),
        }
    }

    /// The shallowest free place. Nobody is fed by a node whose uplink is still to be measured, unless there is no other
    /// place: then the shallowest of these is trusted.
    fn shallowest_open(&mut self) -> Option<Place> {
        if let Some(open) = self.open.first() {
            return Some(open);
        }
        let place = self.untried.first()?;
        self.trust(place);
        self.open.first()
    }

    /// Opens the places below one that feeds others, and remembers the place of one that does not.
    fn note_ability(&mut self, place: Place, ability: Ability) {
        match ability {
            Ability::Relays | Ability::Trusted => self.open_below(place),
            Ability::Untried => self.untried.insert(place),
            Ability::Weak => self.weak.insert(place),
        }
    }

    /// Whoever is there feeds others from now on, even if its uplink is still to be measured.
    fn trust(&mut self, place: Place) {
        if self.seat(place).is_some_and(|seat| seat.ability == Ability::Untried) {
            self.set_ability(place, Ability::Trusted);
        }
    }

    /// Finds places for those who wait, as long as there are any.
    pub(crate) fn seat_waiting(&mut self, preference: &mut impl Preference) {
        while !self.waiting.is_empty() && self.shallowest_open().is_some() {
            let Some((.., slot)) = self.waiting.pop_first() else { return };
            self.put_preferred(slot, Cause::Joined, preference);
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
        (self.nodes[slot].ability.is_leaf(), since, id, slot)
    }

    // Leaving.

    /// Fills a gap: one of its children moves up, its own gap is filled the same way, until the gap is at a leaf.
    pub(crate) fn fill(&mut self, mut gap: Place, preference: &mut impl Preference) {
        while let Some((heir, cause)) = self.heir(gap, preference) {
            self.trust(heir);
            self.shift(heir, gap, cause);
            gap = heir;
        }
        if !self.is_leaf(gap) {
            self.fill_above_weak(gap);
        }
    }

    /// That of the gap's children that relay, measured or not, which is to rise; for a single root the best uplink of them, then
    /// the oldest.
    fn heir(&self, gap: Place, preference: &mut impl Preference) -> Option<(Place, Cause)> {
        if self.forest.has_single_root() && self.forest.parent(gap).is_none() {
            return self.best_uplink_below(gap).map(|heir| (heir, Cause::BestUplink));
        }
        let relays = |child: Place| Some((self.seat(child).filter(|seat| seat.ability.may_relay())?.age(), child));
        let mut children = self.forest.children(gap).filter_map(relays);
        let one = children.next()?;
        let Some(other) = children.next() else { return Some((one.1, Cause::Rose)) };
        let ((_, older), (_, younger)) = (one.min(other), one.max(other));
        match preference.rather_younger(Trees(self), gap, older, younger) {
            true => Some((younger, Cause::RoseNearer)),
            false => Some((older, Cause::Rose)),
        }
    }

    fn best_uplink_below(&self, root: Place) -> Option<Place> {
        let relays = |child: &Place| self.seat(*child).filter(|seat| seat.ability.may_relay());
        let children = self.forest.children(root).filter_map(|child| Some((child, relays(&child)?)));
        let rank = |seat: &Seat| (u8::MAX - self.nodes[seat.slot].capacity, seat.age());
        children.min_by_key(|(_, seat)| rank(seat)).map(|(child, _)| child)
    }

    /// Puts the best uplink next to the single root in its place, if it is better. True when it was.
    pub(crate) fn improve_single_root(&mut self) -> bool {
        let Some(root) = self.forest.roots().next().filter(|_| self.forest.has_single_root()) else { return false };
        let Some(heir) = self.best_uplink_below(root) else { return false };
        let capacity = |place: Place| self.at(place).map_or(0, |slot| self.nodes[slot].capacity);
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
        weak.sort_by_key(|child| self.seat(*child).map(Seat::age));
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
        let relays = |child: Place| self.seat(child).is_some_and(|seat| seat.ability.may_relay());
        self.forest.children(place).any(relays) || self.called_up(place).is_some()
    }

    /// The leaf that takes a place whose children are all weak: one that relays, of the last level that has one.
    fn called_up(&mut self, gap: Place) -> Option<Place> {
        let last = self.leaves.last_level()?;
        (self.forest.level(gap)..=last).rev().find_map(|level| self.strong_leaf_for(gap, level))
    }

    /// The oldest leaf of a level that relays and is not older than the gap's parent, else the youngest that relays.
    fn strong_leaf_for(&mut self, gap: Place, level: u32) -> Option<Place> {
        let parent = self.forest.parent(gap).and_then(|parent| self.seat(parent));
        let since = parent.map_or(Micros(0), |parent| parent.since);
        let younger = self.leaf_of(level, Choice::OldestSince(since), gap);
        younger.or_else(|| self.leaf_of(level, Choice::YoungestBefore(since), gap))
    }

    /// The first of those leaves that does not feed the gap itself.
    fn leaf_of(&mut self, level: u32, choice: Choice, gap: Place) -> Option<Place> {
        self.list_all();
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
                node.marks.set(Marks::LISTED, false);
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
        node.marks.has(Marks::LISTED) && self.forest.level(node.place) == level && Leaf::of(leaf.slot(), node) == leaf
    }

    // Compaction.

    /// Moves one leaf of the last level up, if the last level could be emptied that way: into a hole, those beside a lone
    /// twin first, or, if it relays and there is none, to the place of a weak node that keeps such holes from being.
    pub(crate) fn compact<P: Preference>(&mut self, preference: &mut P) -> bool {
        let Some(last) = self.leaves.last_level() else { return false };
        let limit = self.forest.first_of(last);
        if self.placed > self.forest.places_above(last.saturating_sub(P::SLACK)) {
            return false;
        }
        let above = |hole: &Place| *hole < limit;
        let Some(hole) = self.lone.first().filter(above).or(self.open.first().filter(above)) else {
            return self.make_way(last, preference);
        };
        let strong = self.strong_leaf_for(hole, last);
        let Some(leaf) = strong.or_else(|| self.leaf_of(last, Choice::Weak, hole)) else { return false };
        self.shift(leaf, hole, Cause::Compacted);
        self.tally.compactions += 1;
        true
    }

    /// A node that relays and sits two levels deeper or more takes the place of the shallowest weak node: a leaf if there
    /// is one, else one that feeds weak nodes of the last level.
    fn make_way(&mut self, last: u32, preference: &mut impl Preference) -> bool {
        let Some(place) = self.weak.first() else { return false };
        let levels = self.forest.level(place) + 2..=last;
        let mut riser = levels.clone().rev().find_map(|level| self.strong_leaf_for(place, level));
        if riser.is_none() {
            let above = self.leaf_of(last, Choice::Weak, place).and_then(|leaf| self.forest.parent(leaf));
            riser = above.filter(|above| levels.contains(&self.forest.level(*above)));
        }
        let Some((from, riser)) = riser.and_then(|from| Some((from, self.take(from)?))) else { return false };
        self.fill(from, preference);
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
        self.placed += 1;
        self.leaves.arrive(self.forest.level(place));
        let placed_s = self.now_s();
        let children = self.forest.children(place).filter(|child| self.at(*child).is_some()).count() as u8;
        let node = &mut self.nodes[slot];
        (node.place, node.children) = (place, children);
        let seat = Seat { slot, placed_s, id: node.id, since: node.since, cause, ability: node.ability };
        self.seats.fill(place, seat);
        let ability = seat.ability;
        if let Some(parent) = self.forest.parent(place).and_then(|parent| self.seats.get(parent)) {
            self.nodes[parent.slot].children += 1;
            self.tally.inversions += u64::from(!ability.is_leaf() && parent.age() > seat.age());
        }
        self.close(place);
        if self.open.contains(place.twin()) {
            self.lone.insert(place.twin());
        }
        self.note_ability(place, ability);
        self.list_if_leaf(slot);
        self.changed.push(place);
    }

    pub(crate) fn take(&mut self, place: Place) -> Option<Slot> {
        let slot = self.at(place)?;
        self.seats.clear(place);
        self.placed -= 1;
        self.leaves.depart(self.forest.level(place));
        let node = &mut self.nodes[slot];
        (node.place, node.children) = (Place::NONE, 0);
        node.marks.set(Marks::LISTED, false);
        self.weak.remove(place);
        self.untried.remove(place);
        self.lone.remove(place.twin());
        self.forest.children(place).for_each(|child| self.close(child));
        match self.forest.parent(place).map(|parent| self.at(parent)) {
            None => self.open_up(place),
            Some(Some(parent)) => {
                self.nodes[parent].children -= 1;
                if !self.nodes[parent].ability.is_leaf() {
                    self.open_up(place);
                }
                self.list_if_leaf(parent);
            }
            Some(None) => {}
        }
        self.changed.push(place);
        Some(slot)
    }

    /// Changes what the occupant is able to do; it must be a leaf if it becomes one that has to be.
    pub(crate) fn set_ability(&mut self, place: Place, ability: Ability) {
        let Some(seat) = self.seats.get_mut(place).filter(|seat| seat.ability != ability) else { return };
        seat.ability = ability;
        let slot = seat.slot;
        let node = &mut self.nodes[slot];
        node.ability = ability;
        node.marks.set(Marks::LISTED, false);
        self.weak.remove(place);
        self.untried.remove(place);
        self.note_ability(place, ability);
        if ability.is_leaf() {
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
        if !node.is_leaf() || node.marks.set(Marks::LISTED, true) {
            return;
        }
        self.unlisted.push(slot);
        if self.unlisted.len() > self.placed + UNLISTED_MAX {
            self.list_all();
        }
    }

    /// Brings the lists of leaves up to date.
    fn list_all(&mut self) {
        let mut unlisted = std::mem::take(&mut self.unlisted);
        let mut leaves = std::mem::take(&mut self.leaves);
        for slot in unlisted.drain(..) {
            let node = &mut self.nodes[slot];
            if !node.is_leaf() {
                node.marks.set(Marks::LISTED, false);
            } else if node.marks.has(Marks::LISTED) {
                let (leaf, level) = (Leaf::of(slot, node), self.forest.level(node.place));
                leaves.list(level, leaf, |leaf| self.is_entry_of(leaf, level));
            }
        }
        (self.unlisted, self.leaves) = (unlisted, leaves);
    }
}
