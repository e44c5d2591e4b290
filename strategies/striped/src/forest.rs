//! Both trees: who feeds in which, and how those without a place get one.

use std::collections::BTreeMap;
use std::ops::{Index, IndexMut};

use peerstream_sdk::prelude::*;

use crate::pairs::Pairs;
use crate::place::Place;
use crate::side::Side;
use crate::tree::{Seat, Spot, Tree};

/// Leaves that a node feeds besides its two, at most: then no more than sixteen have the same grandparent.
const EXTRAS_MAX: usize = 6;
/// Places tried for somebody, since some parents may be out of reach.
pub(crate) const TRIED: usize = 16;
/// Levels by which those who feed may be deeper than the shallowest who does not: fewer moves for a little depth.
pub(crate) const SLACK: u32 = 1;

/// What is known of a viewer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Viewer {
    pub(crate) joined_at: Micros,
    /// Whether it may be given others to feed.
    pub(crate) able: bool,
    /// Leaves it can feed besides two.
    pub(crate) extra_room: usize,
    /// The tree in which it feeds others; none when it feeds nobody.
    pub(crate) home: Option<Side>,
}

impl Viewer {
    pub(crate) fn new(member: &Member) -> Self {
        let (able, extra_room) = ability(member);
        Self { joined_at: member.joined_at, able, extra_room, home: None }
    }
}

/// Whether a member can feed others, and how many leaves besides two: an edge is of one stripe, a part of a copy.
pub(crate) fn ability(member: &Member) -> (bool, usize) {
    let edges = member.room() * usize::from(Stripes::COUNT);
    (edges >= 2, edges.saturating_sub(2).min(EXTRAS_MAX))
}

/// How many the source can feed in each tree.
pub(crate) fn source_room(topology: &Topology) -> usize {
    topology.get(NodeId::SOURCE).map_or(0, |source| source.room().min(1 + EXTRAS_MAX))
}

/// The viewers and the two trees.
#[derive(Clone, Debug)]
pub(crate) struct Forest {
    pub(crate) viewers: BTreeMap<NodeId, Viewer>,
    trees: [Tree; 2],
    /// Places whose occupants are gone while others are below them still.
    pub(crate) gaps: [Vec<Place>; 2],
    /// Those who lost their place and are to get another one.
    pub(crate) adrift: [Vec<NodeId>; 2],
    pub(crate) pairs: Pairs,
    /// Moves of those who had a place.
    pub(crate) moves: u64,
}

impl Index<Side> for Forest {
    type Output = Tree;

    fn index(&self, side: Side) -> &Tree {
        &self.trees[side as usize]
    }
}

impl IndexMut<Side> for Forest {
    fn index_mut(&mut self, side: Side) -> &mut Tree {
        &mut self.trees[side as usize]
    }
}

impl Forest {
    /// Two empty trees below a source that can feed so many in each.
    pub(crate) fn new(source_room: usize) -> Self {
        Self {
            viewers: BTreeMap::new(),
            trees: [Tree::new(source_room), Tree::new(source_room)],
            gaps: Default::default(),
            adrift: Default::default(),
            pairs: Pairs::default(),
            moves: 0,
        }
    }

    /// Gives a viewer that can feed others a home, if it has none, and a place in each tree in which it has none.
    pub(crate) fn settle(&mut self, id: NodeId) {
        let Some(viewer) = self.viewers.get(&id).copied() else { return };
        if viewer.able && viewer.home.is_none() {
            self.give_home(id, self.neediest());
        }
        for side in self.homeward(id) {
            if self[side].spot(id).is_none() {
                self.seat(side, id);
            }
        }
    }

    /// The viewer feeds in that tree from now on, as far as possible where it is.
    pub(crate) fn give_home(&mut self, id: NodeId, side: Side) {
        let Some(viewer) = self.viewers.get_mut(&id) else { return };
        viewer.home = Some(side);
        let extra_room = viewer.extra_room;
        let deepest = self[side].brim().unwrap_or(0) + SLACK;
        match self[side].spot(id) {
            Some(Spot::At(place)) if place.level() <= deepest => {
                self[side].set_feeding(place, true, extra_room);
            }
            spot => {
                self.unseat(side, id);
                self.moves += u64::from(spot.is_some());
                self.seat(side, id);
            }
        }
        Side::BOTH.into_iter().for_each(|side| self[side].touch_one(id));
    }

    /// Finds a place for a viewer that has none in that tree; if there is none it waits.
    pub(crate) fn seat(&mut self, side: Side, id: NodeId) {
        let Some(viewer) = self.viewers.get(&id).copied() else { return };
        let found = if viewer.home == Some(side) {
            self.seat_feeder(side, id, viewer.extra_room)
        } else {
            self.seat_leaf(side, id)
        };
        let waits = (viewer.joined_at, id);
        if found {
            self[side].waiting.remove(&waits);
        } else {
            self[side].waiting.insert(waits);
            self[side].touch_one(id);
        }
    }

    /// Takes a viewer that nobody sits below out of a tree.
    pub(crate) fn unseat(&mut self, side: Side, id: NodeId) -> Option<Seat> {
        if let Some(viewer) = self.viewers.get(&id).copied() {
            self[side].waiting.remove(&(viewer.joined_at, id));
        }
        match self[side].spot(id)? {
            Spot::At(place) => self[side].take(place),
            Spot::Extra(feeder) => {
                self[side].remove_extra(id, feeder);
                None
            }
        }
    }

    /// As many of those who wait as there are places for get one.
    pub(crate) fn seat_waiting(&mut self, side: Side) {
        while !(self[side].open.is_empty() && self[side].roomy.is_empty()) {
            let Some((_, id)) = self[side].waiting.first().copied() else { return };
            self.seat(side, id);
        }
    }

    /// How many viewers have no place in one of the trees at least.
    pub(crate) fn waiting(&self) -> usize {
        let [a, b] = Side::BOTH.map(|side| &self[side].waiting);
        a.union(b).count()
    }

    /// Whether nothing is known against one feeding the other.
    pub(crate) fn may_feed(&self, feeder: Option<NodeId>, id: NodeId) -> bool {
        feeder.is_some_and(|feeder| feeder != id && !self.pairs.contains(feeder, id))
    }

    /// The deepest open place at which a leaf can be fed: those that are nearer to the source are left to newcomers who
    /// feed.
    pub(crate) fn leaf_place(&self, side: Side, id: NodeId) -> Option<Place> {
        let mut open = self[side].open.iter().rev().copied().take(TRIED);
        open.find(|place| self.may_feed(self[side].feeder_of(*place), id))
    }

    /// Both trees, the one first in which it feeds others.
    pub(crate) fn homeward(&self, id: NodeId) -> [Side; 2] {
        let home = self.viewers.get(&id).and_then(|viewer| viewer.home).unwrap_or(Side::A);
        [home, home.other()]
    }

    /// The tree that lacks more places; of equals the one in which fewer feed.
    fn neediest(&self) -> Side {
        let [a, b] = Side::BOTH.map(|side| (self[side].lack(), -(self[side].inner.len() as isize)));
        if b > a { Side::B } else { Side::A }
    }

    fn seat_leaf(&mut self, side: Side, id: NodeId) -> bool {
        let tree = &self[side];
        let besides = || {
            let mut roomy = tree.roomy.iter().copied().take(TRIED);
            roomy.find(|place| self.may_feed(tree.seat(*place).map(|seat| seat.id), id))
        };
        let (open, roomy) = match self.leaf_place(side, id) {
            Some(place) => (Some(place), None),
            None => (None, besides()),
        };
        if let Some(place) = open.or_else(|| tree.open.first().copied().filter(|_| roomy.is_none())) {
            self[side].sit(place, Seat::leaf(id));
            return true;
        }
        let roomy = roomy.or_else(|| tree.roomy.first().copied());
        roomy.inspect(|place| self[side].add_extra(*place, id)).is_some()
    }

    /// One that feeds others takes an open place, or that of a leaf that is nearer to the source.
    fn seat_feeder(&mut self, side: Side, id: NodeId, extra_room: usize) -> bool {
        let tree = &self[side];
        let mut opens = tree.open.iter().copied().take(TRIED);
        let mut leaves = tree.leaves.iter().copied().take(TRIED);
        let yields = |place: &Place| {
            self.may_feed(tree.feeder_of(*place), id) && self.may_feed(tree.seat(*place).map(|leaf| leaf.id), id)
        };
        let (open, leaf) = (opens.find(|place| self.may_feed(tree.feeder_of(*place), id)), leaves.find(yields));
        let near = |open: &Place| leaf.is_none_or(|leaf| open.level() <= leaf.level() + SLACK);
        let seat = Seat::inner(id, extra_room);
        if let Some(place) = open.filter(near) {
            self[side].sit(place, seat);
        } else if let Some(place) = leaf.or_else(|| tree.leaves.first().copied()) {
            self.displace(side, place, seat);
        } else if let Some(place) = tree.open.first().copied() {
            self[side].sit(place, seat);
        } else {
            return false;
        }
        true
    }

    /// A leaf goes one down, below somebody who takes its place.
    fn displace(&mut self, side: Side, place: Place, seat: Seat) {
        let leaf = self[side].take(place);
        self[side].sit(place, seat);
        if let (Some(leaf), Some(below)) = (leaf, place.children().next()) {
            self[side].sit(below, leaf);
            self.moves += 1;
        }
    }
}
