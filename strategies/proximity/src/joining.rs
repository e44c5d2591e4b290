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
/// What a parent costs that has just come, and the age from which it costs nothing: the young leave soon, and each who does
/// and feeds others costs moves.
const YOUNG_MS: f32 = 20.0;
const YOUNG_S: f32 = 120.0;
/// Open places looked at, and how many in a row when there are more.
const LOOKED_AT_MAX: usize = 8_192;
const ROW: usize = 64;

/// The open place that costs the least, and what it costs; none when no place has a parent with a twin.
pub(crate) fn best_open(
    trees: Trees<'_>,
    known: &Known,
    survey: &Survey,
    peer: Peer,
    draw: u64,
) -> Option<(Place, f32)> {
    let deepest = optimum(trees, trees.placed() + 1) + SLACK;
    let limit = trees.forest().first_of(deepest + 1);
    let mut best: Option<(Place, f32)> = None;
    let mut look = |place: Place| {
        let least = best.map_or(f32::INFINITY, |(_, least)| least);
        if let Some(cost) = cost_below(trees, known, survey, peer, place, least) {
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
    cost_below(trees, known, survey, peer, place, f32::INFINITY)
}

/// The same if it is less than that.
fn cost_below(trees: Trees<'_>, known: &Known, survey: &Survey, peer: Peer, place: Place, least: f32) -> Option<f32> {
    let parent = trees.forest().parent(place);
    let pair = match survey.size(place.twin()) {
        0 if trees.at(place.twin()).is_none() => ALONE_MS,
        0 => 0.0,
        1 => 0.0,
        _ => -GAP_MS,
    };
    let without_hop = survey.lag(trees, known, parent) + pair + youth(trees, parent);
    if without_hop >= least {
        return None;
    }
    let has_twin = parent.is_none_or(|parent| trees.at(parent.twin()).is_some());
    let feeder = trees.feeder(place).filter(|feeder| has_twin && *feeder != peer)?;
    Some(without_hop + HOP_WEIGHT * known.distance(feeder, peer)).filter(|cost| *cost < least)
}

fn youth(trees: Trees<'_>, parent: Option<Place>) -> f32 {
    let Some(parent) = parent.and_then(|parent| trees.at(parent)) else { return 0.0 };
    let age_s = trees.now().since(parent.since).0 as f32 / 1e6;
    YOUNG_MS * (1.0 - age_s / YOUNG_S).max(0.0)
}
