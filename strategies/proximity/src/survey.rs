//! The lag of each place and how many are below it: a table that is made anew now and then.

use peerstream_dumbbell::{Peer, Place, Trees};

use crate::known::Known;

/// The table is made anew after as many changes as this share of the nodes, and at least so many.
const CHANGES_SHARE: usize = 64;
const CHANGES_MIN: usize = 8;

/// Lag and size of what is below, by place.
#[derive(Clone, Debug, Default)]
pub(crate) struct Survey {
    lag: Vec<f32>,
    size: Vec<u32>,
    changes: usize,
}

impl Survey {
    /// Something changed.
    pub(crate) fn age(&mut self) {
        self.changes += 1;
    }

    /// Makes the table anew when it is old.
    pub(crate) fn refresh_if_old(&mut self, trees: Trees<'_>, known: &Known) {
        if self.changes > (trees.placed() / CHANGES_SHARE).max(CHANGES_MIN) {
            self.refresh(trees, known);
        }
    }

    /// Makes the table anew.
    pub(crate) fn refresh(&mut self, trees: Trees<'_>, known: &Known) {
        let (forest, end) = (trees.forest(), trees.places_end());
        self.lag.clear();
        self.size.clear();
        for place in (0..end).map(Place::of) {
            let seat = trees.at(place).zip(trees.feeder(place));
            let above = forest.parent(place).map_or(0.0, |parent| self.lag.get(parent.index()).copied().unwrap_or(0.0));
            self.lag.push(seat.map_or(0.0, |(seat, feeder)| above + known.delay(feeder, seat.peer)));
            self.size.push(u32::from(seat.is_some()));
        }
        for place in (0..end).rev() {
            if let Some(parent) = forest.parent(Place::of(place)) {
                self.size[parent.index()] += self.size[place];
            }
        }
        self.changes = 0;
    }

    /// What reaches the occupant of a place lags this much, in ms; of the source when none.
    pub(crate) fn lag(&self, trees: Trees<'_>, known: &Known, place: Option<Place>) -> f32 {
        let Some(place) = place else { return 0.0 };
        if self.size.get(place.index()).is_some_and(|size| *size > 0) {
            return self.lag[place.index()];
        }
        lag_now(trees, known, place)
    }

    /// The nodes at a place and below it.
    pub(crate) fn size(&self, place: Place) -> u32 {
        self.size.get(place.index()).copied().unwrap_or(0)
    }

    /// The same of a place that is taken, as a weight.
    pub(crate) fn weight(&self, place: Place) -> f32 {
        self.size(place).max(1) as f32
    }
}

/// Follows the way up.
fn lag_now(trees: Trees<'_>, known: &Known, place: Place) -> f32 {
    let way = std::iter::successors(Some(place), |place| trees.forest().parent(*place));
    let hop = |place: Place| Some(known.delay(trees.feeder(place)?, trees.at(place)?.peer));
    way.filter_map(hop).sum()
}

/// The deepest level that as many nodes need.
pub(crate) fn optimum(trees: Trees<'_>, nodes: usize) -> u32 {
    (0..).find(|level| trees.forest().places_above(level + 1) >= nodes).unwrap_or(0)
}

/// Whether a node may be below another one: it is at most so many times as old.
pub(crate) fn ages_fit(trees: Trees<'_>, parent: Option<Place>, child: Place, factor: u64) -> bool {
    let age = |place: Place| trees.at(place).map_or(0, |seat| trees.now().since(seat.since).0);
    parent.is_none_or(|parent| age(parent).saturating_mul(factor) >= age(child))
}

/// The peer at a place.
pub(crate) fn peer_at(trees: Trees<'_>, place: Place) -> Option<Peer> {
    trees.at(place).map(|seat| seat.peer)
}
