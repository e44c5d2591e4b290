//! Those who go, and how what they leave behind is closed.

use peerstream_sdk::prelude::*;

use crate::forest::Forest;
use crate::place::Place;
use crate::side::Side;
use crate::tree::{Seat, Spot};

impl Forest {
    /// Takes a viewer out for good. [`Forest::close`] is due.
    pub(crate) fn leave(&mut self, id: NodeId) {
        Side::BOTH.into_iter().for_each(|side| self.clear(side, id));
        self.viewers.remove(&id);
    }

    /// A viewer feeds nobody any more. If only leaves are below it they go, else it does. [`Forest::close`] is due.
    pub(crate) fn step_down(&mut self, id: NodeId) {
        let home = self.viewers.get_mut(&id).and_then(|viewer| viewer.home.take());
        let Some(side) = home else { return };
        match self[side].spot(id) {
            Some(Spot::At(place)) if self[side].below(place).all(|(_, seat)| !seat.inner) => {
                let extras = self[side].set_feeding(place, false, 0);
                self.adrift[side as usize].extend(extras);
                self.cut_loose(side, place);
            }
            _ => self.move_away(side, id),
        }
        Side::BOTH.into_iter().for_each(|side| self[side].touch_one(id));
    }

    /// A viewer leaves its place in a tree for another one. [`Forest::close`] is due.
    pub(crate) fn move_away(&mut self, side: Side, id: NodeId) {
        self.clear(side, id);
        self.adrift[side as usize].push(id);
    }

    /// Fills all gaps, the deepest first, and finds places for all who lost theirs, the oldest first.
    pub(crate) fn close(&mut self) {
        for side in Side::BOTH {
            let mut gaps = std::mem::take(&mut self.gaps[side as usize]);
            gaps.sort_unstable();
            gaps.into_iter().rev().for_each(|gap| self.fill(side, gap));
            let adrift = std::mem::take(&mut self.adrift[side as usize]);
            let age = |id: NodeId| self.viewers.get(&id).map(|viewer| (viewer.joined_at, id));
            let mut adrift: Vec<_> = adrift.into_iter().filter_map(age).collect();
            adrift.sort_unstable();
            for (_, id) in adrift {
                if self[side].spot(id).is_none() {
                    self.moves += 1;
                    self.seat(side, id);
                }
            }
        }
    }

    fn clear(&mut self, side: Side, id: NodeId) {
        let spot = self[side].spot(id);
        if let (Some(Seat { inner: true, extras, .. }), Some(Spot::At(place))) = (self.unseat(side, id), spot) {
            self[side].cast_off(&extras);
            self.adrift[side as usize].extend(extras);
            self.gaps[side as usize].push(place);
        }
    }

    /// The oldest child that feeds others rises into a gap, and so on down; who is below the last one loses its place.
    fn fill(&mut self, side: Side, gap: Place) {
        let mut gap = gap;
        while let Some(riser) = self.riser(side, gap) {
            self[side].shift(riser, gap);
            self.moves += 1;
            gap = riser;
        }
        self.cut_loose(side, gap);
    }

    /// The oldest of the children that feed others and that whoever feeds the gap can reach.
    fn riser(&self, side: Side, gap: Place) -> Option<Place> {
        let feeder = self[side].feeder_of(gap);
        let rank = |id: NodeId| (!self.may_feed(feeder, id), self.viewers.get(&id).map(|viewer| viewer.joined_at), id);
        let risers = self[side].below(gap).filter(|(_, seat)| seat.inner);
        risers.min_by_key(|(_, seat)| rank(seat.id)).map(|(place, _)| place)
    }

    /// The leaves at the places below a place lose theirs.
    fn cut_loose(&mut self, side: Side, place: Place) {
        for child in place.children() {
            if let Some(leaf) = self[side].take(child) {
                self.adrift[side as usize].push(leaf.id);
            }
        }
    }
}
