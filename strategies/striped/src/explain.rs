//! Where a viewer is, in words.

use peerstream_sdk::prelude::*;

use crate::forest::Forest;
use crate::side::Side;
use crate::tree::Spot;

/// Its places: `A5/b17` feeds others at place 5 of tree A and is a leaf at 17 of tree B; a `+` says that it is fed
/// besides those at the two places below 17, a `?` that it has none.
pub(crate) fn name(forest: &Forest, id: NodeId) -> String {
    forest.homeward(id).map(|side| spot(forest, id, side)).join("/")
}

/// A few sentences for people.
pub(crate) fn story(forest: &Forest, id: NodeId) -> Option<String> {
    let viewer = forest.viewers.get(&id)?;
    let role = match viewer.home {
        Some(side) => format!("It feeds {} half of the stream to {}.", half(side), forest[side].fed_by(id)),
        None if viewer.able => "It did not serve well, so it feeds nobody for a while.".to_owned(),
        None => "It does not relay, so it is a leaf of both trees.".to_owned(),
    };
    let [first, second] = forest.homeward(id).map(|side| feeding(forest, id, side));
    let name = name(forest, id);
    Some(format!("{name}: {role} It gets {first}, and {second}."))
}

fn spot(forest: &Forest, id: NodeId, side: Side) -> String {
    let home = forest.viewers.get(&id).is_some_and(|viewer| viewer.home == Some(side));
    let letter = if home { side.letter() } else { side.letter().to_ascii_lowercase() };
    match forest[side].spot(id) {
        Some(Spot::At(place)) => format!("{letter}{}", place.0),
        Some(Spot::Extra(feeder)) => match forest[side].spot(feeder) {
            Some(Spot::At(place)) => format!("{letter}{}+", place.0),
            _ => format!("{letter}?"),
        },
        None => format!("{letter}?"),
    }
}

fn feeding(forest: &Forest, id: NodeId, side: Side) -> String {
    let tree = &forest[side];
    let Some(parent) = tree.parent(id) else {
        return format!("{} half from nobody, since too few can feed others", half(side));
    };
    let besides = match tree.spot(id) {
        Some(Spot::Extra(_)) => " besides its two",
        _ => "",
    };
    let asks = tree.helper(id).map(|helper| format!(" (in need {helper})")).unwrap_or_default();
    format!("{} half from {parent}{besides}{asks}", half(side))
}

fn half(side: Side) -> &'static str {
    match side {
        Side::A => "the even",
        Side::B => "the odd",
    }
}
