//! Which two nodes save most lag by changing places.

use peerstream_dumbbell::{Peer, Place, Trees, chance};

use crate::known::Known;
use crate::survey::{Survey, ages_fit, peer_at};

/// A child is at most so many times as old as the parent it is moved below.
pub(crate) const AGE_FACTOR: u64 = 4;
/// Two nodes that change places lag at most so much differently, in ms. Until the one that rises has its new parent, those it
/// feeds from then on get what it has, late by the difference; after 300 ms of silence they would all turn to their helpers.
const BEHIND_MAX: f32 = 250.0;
/// The other node is looked for down to so many levels below the first: deeper ones are hardly ever near enough in lag, and
/// each hop takes some 30 ms besides the way, of which coordinates know nothing.
const DEEPER_MAX: u32 = 4;
/// Places for whose occupant another place is looked for.
const PLACES: u64 = 24;
/// Random nodes looked at for each of them.
const OTHERS: u64 = 384;
/// Less than this, in ms per viewer on average, is not worth the moves.
const GAIN_MIN: f32 = 0.005;

/// Two places and the lag that is saved, in ms times viewers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Exchange {
    pub(crate) one: Place,
    pub(crate) other: Place,
    pub(crate) gain: f32,
}

/// The best of some pairs drawn by chance, if it is worth it.
pub(crate) fn best(trees: Trees<'_>, known: &Known, survey: &Survey, draw: u64) -> Option<Exchange> {
    let forest = trees.forest();
    let mut best = None::<Exchange>;
    for row in 0..PLACES {
        let Some(one) = draw_place(trees, chance::mix(draw ^ row)) else { continue };
        let end = forest.first_of(forest.level(one) + DEEPER_MAX + 1).index().min(trees.places_end());
        for column in 0..OTHERS {
            let other = Place::of(chance::below(end, draw ^ (row << 32), column));
            let Some(gain) = gain(trees, known, survey, one, other) else { continue };
            if best.is_none_or(|best| gain > best.gain) {
                best = Some(Exchange { one, other, gain });
            }
        }
    }
    best.filter(|best| best.gain > GAIN_MIN * trees.placed() as f32)
}

/// A place by chance, each level being as likely as another: what is near the top matters most.
fn draw_place(trees: Trees<'_>, draw: u64) -> Option<Place> {
    let forest = trees.forest();
    let levels = forest.level(Place::of(trees.places_end().checked_sub(1)?)) + 1;
    let level = chance::below(levels as usize, draw, 0) as u32;
    let (first, end) = (forest.first_of(level).index(), forest.first_of(level + 1).index());
    let place = Place::of(first + chance::below(end - first, draw, 1));
    trees.at(place).map(|_| place)
}

/// What is saved when the occupants of two places change them; none when they may not.
pub(crate) fn gain(trees: Trees<'_>, known: &Known, survey: &Survey, one: Place, other: Place) -> Option<f32> {
    let forest = trees.forest();
    let (first, second) = (trees.at(one)?, trees.at(other)?);
    let adjacent = forest.parent(one) == Some(other) || forest.parent(other) == Some(one);
    let able = !first.leaf_only && !second.leaf_only;
    let both_known = known.is_somewhere(first.peer) && known.is_somewhere(second.peer);
    if one == other || adjacent || !able || !both_known || !hear_alike(trees, known, survey, one, other) {
        return None;
    }
    let gain = saved(trees, known, survey, one, second.peer) + saved(trees, known, survey, other, first.peer);
    (gain > 0.0 && fits(trees, one, other) && fits(trees, other, one)).then_some(gain)
}

/// Whether the occupants of two places have the stream at about the same time.
fn hear_alike(trees: Trees<'_>, known: &Known, survey: &Survey, one: Place, other: Place) -> bool {
    let lag = |place| survey.lag(trees, known, Some(place));
    (lag(one) - lag(other)).abs() <= BEHIND_MAX
}

/// What is saved when that node takes this place.
fn saved(trees: Trees<'_>, known: &Known, survey: &Survey, place: Place, comes: Peer) -> f32 {
    let Some((goes, feeder)) = peer_at(trees, place).zip(trees.feeder(place)) else { return 0.0 };
    let above = survey.weight(place) * (known.delay(feeder, goes) - known.delay(feeder, comes));
    let child = |child: Place| {
        let peer = peer_at(trees, child)?;
        Some(survey.weight(child) * (known.delay(goes, peer) - known.delay(comes, peer)))
    };
    above + trees.forest().children(place).filter_map(child).sum::<f32>()
}

/// Whether the occupant of `from` is of an age to be at `place`.
fn fits(trees: Trees<'_>, place: Place, from: Place) -> bool {
    let above = ages_fit(trees, trees.forest().parent(place), from, AGE_FACTOR);
    let below = || trees.forest().children(place).all(|child| ages_fit(trees, Some(from), child, AGE_FACTOR));
    above && below()
}
