//! Which open place is the best for a node.

use peerstream_dumbbell::{Peer, Place, Trees, chance};

use crate::known::Known;
use crate::survey::{Survey, optimum};

/// Levels below the least that newcomers may be put at.
pub(crate) const SLACK: u32 = 1;
/// The way to the parent counts this many times: those below will come by there too.
const HOP_WEIGHT: f32 = 3.0;
/// What a place costs whose twin place is empty: whoever takes it has no twin.
const ALONE_MS: f32 = 20.0;
/// What a place saves whose twin is there and feeds others: those below it have no way across.
const GAP_MS: f32 = 400.0;
/// Open places looked at, and how many in a row when there are more.
const LOOKED_AT_MAX: usize = 8_192;
const ROW: usize = 64;

/// The open place that costs the least, and what it costs; none when no place has a parent with a twin.
pub(crate) fn best_open(trees: Trees<'_>, known: &Known, survey: &Survey, peer: Peer, draw: u64) -> Option<(Place, f32)> {
    let deepest = optimum(trees, trees.placed() + 1) + SLACK;
    let limit = trees.forest().first_of(deepest + 1);
    let mut best: Option<(Place, f32)> = None;
    let mut look = |place: Place| {
        let cost = cost(trees, known, survey, peer, place);
        if let Some(cost) = cost.filter(|cost| best.is_none_or(|(_, least)| *cost < least)) {
            best = Some((place, cost));
        }
    };
    if trees.placed() <= LOOKED_AT_MAX * 2 {
        trees.open().take_while(|place| *place < limit).take(LOOKED_AT_MAX * 2).for_each(&mut look);
        return best;
    }
    for row in 0..(LOOKED_AT_MAX / ROW) as u64 {
        let from = Place::of(chance::below(limit.index(), draw, row));
        trees.open_from(from).take_while(|place| *place < limit).take(ROW).for_each(&mut look);
    }
    best
}

/// What it costs to have that node at a place that is open, or its own.
pub(crate) fn cost(trees: Trees<'_>, known: &Known, survey: &Survey, peer: Peer, place: Place) -> Option<f32> {
    let parent = trees.forest().parent(place);
    let has_twin = parent.is_none_or(|parent| trees.at(parent.twin()).is_some());
    let feeder = trees.feeder(place).filter(|feeder| has_twin && *feeder != peer)?;
    let pair = match trees.at(place.twin()) {
        None => ALONE_MS,
        Some(_) if trees.is_leaf(place.twin()) => 0.0,
        Some(_) => -GAP_MS,
    };
    Some(survey.lag(trees, known, parent) + HOP_WEIGHT * known.distance(feeder, peer) + pair)
}
