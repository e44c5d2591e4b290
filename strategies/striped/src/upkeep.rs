//! What is put in order as time passes: places for both halves, nobody above two for long, no tree too deep.

use peerstream_sdk::prelude::*;

use crate::forest::{Forest, SLACK, TRIED};
use crate::place::Place;
use crate::side::Side;
use crate::tree::{Seat, Spot};

/// Steps per tick, at least; large audiences get one for every 64 viewers.
const STEPS_MIN: usize = 8;
/// One of so many viewers may be fed besides the two of somebody in each tree: that saves moves, for places that are
/// free are then nearly always at hand.
const TOLERATED_ONE_OF: usize = 512;

impl Forest {
    /// Takes a bounded number of steps.
    pub(crate) fn tidy(&mut self) {
        let steps = (self.viewers.len() / 64).max(STEPS_MIN);
        (0..steps).all(|_| self.step());
    }

    /// Places for those who wait, if need be by having others feed in the tree that lacks them.
    pub(crate) fn relieve(&mut self) {
        for side in Side::BOTH {
            self.seat_waiting(side);
            let mut waiting = usize::MAX;
            while self[side].waiting.len() < waiting {
                waiting = self[side].waiting.len();
                self.lend(side);
            }
        }
    }

    /// One step, if there is something to do.
    fn step(&mut self) -> bool {
        Side::BOTH.into_iter().any(|side| self.bring_in(side) || self.lend(side) || self.raise_deepest(side))
    }

    /// A leaf that somebody feeds besides gets a place.
    fn bring_in(&mut self, side: Side) -> bool {
        if self[side].open.is_empty() || !self.has_too_many_extras(side) {
            return false;
        }
        let mut extras = self[side].extras.iter().copied().take(TRIED);
        let Some((id, place)) = extras.find_map(|id| Some((id, self.leaf_place(side, id)?))) else { return false };
        self.unseat(side, id);
        self[side].sit(place, Seat::leaf(id));
        self.moves += 1;
        true
    }

    /// A viewer that feeds in the other tree, where places are free, feeds in this one from now on, where they are
    /// lacking.
    fn lend(&mut self, poor: Side) -> bool {
        let rich = poor.other();
        let (waits, free) = (!self[poor].waiting.is_empty(), self[rich].open.len());
        let lacks = self[poor].open.is_empty() && (waits || self.has_too_many_extras(poor));
        let urgent = waits && self[rich].waiting.is_empty();
        let enough = free >= 2 || (urgent && free + self[rich].roomy.len() > 4);
        let Some(id) = self.dispensable(rich).filter(|_| lacks && enough) else { return false };
        self.step_down(id);
        self.give_home(id, poor);
        self.close();
        self.seat_waiting(poor);
        true
    }

    fn has_too_many_extras(&self, side: Side) -> bool {
        self[side].extras.len() > self.viewers.len() / TOLERATED_ONE_OF
    }

    /// Of those who feed nobody but leaves, and as few as possible, the one nearest to the source in the other tree.
    fn dispensable(&self, side: Side) -> Option<NodeId> {
        let above_open = self[side].open.iter().rev().take(TRIED).filter_map(|open| open.feeder());
        let deepest = self[side].inner.iter().rev().take(TRIED).copied();
        let free = |place: &Place| {
            let feeds_leaves = self[side].below(*place).all(|(_, seat)| !seat.inner);
            let seat = self[side].seat(*place).filter(|_| feeds_leaves && *place != Place::SOURCE)?;
            let beyond = match self[side.other()].spot(seat.id) {
                Some(Spot::At(there)) => there,
                _ => Place(u64::MAX),
            };
            Some((self[side].fed_by(seat.id), beyond, seat.id))
        };
        above_open.chain(deepest).filter_map(|place| free(&place)).min().map(|(_, _, id)| id)
    }

    /// The deepest viewer that feeds others changes places with a leaf, or takes an open place, that is much nearer to
    /// the source. Those whom it feeds come with it.
    fn raise_deepest(&mut self, side: Side) -> bool {
        let tree = &self[side];
        let Some(deepest) = tree.inner.last().copied() else { return false };
        let Some(id) = tree.seat(deepest).map(|seat| seat.id) else { return false };
        let above = tree.feeder_of(deepest);
        let near = |place: &Place| place.level() + SLACK < deepest.level();
        let fits = |place: &Place| {
            let gives_way = tree.seat(*place).is_none_or(|leaf| self.may_feed(above, leaf.id));
            gives_way && self.may_feed(tree.feeder_of(*place), id)
        };
        let targets = tree.open.iter().take(TRIED).chain(tree.leaves.iter().take(TRIED)).copied();
        let Some(target) = targets.filter(near).find(fits) else { return false };
        self.exchange(side, deepest, target);
        true
    }

    fn exchange(&mut self, side: Side, deepest: Place, target: Place) {
        let tree = &mut self[side];
        let leaf = tree.take(target);
        let moved = 1 + u64::from(leaf.is_some());
        tree.shift(deepest, target);
        for (from, to) in deepest.children().zip(target.children()) {
            tree.shift(from, to);
        }
        if let Some(leaf) = leaf {
            tree.sit(deepest, leaf);
        }
        self.moves += moved;
    }
}
