//! Takes over a topology, of whatever shape.

use std::collections::VecDeque;

use peerstream_sdk::prelude::*;

use crate::forest::{Forest, Viewer};
use crate::place::Place;
use crate::side::Side;
use crate::tree::Seat;

/// Keeps a topology in which each viewer feeds one half at most, and builds the trees anew of any other. Then all get
/// the places they lack, those first who can feed others, the older ones before.
pub(crate) fn adopt(forest: &mut Forest, topology: &Topology) {
    let mut members: Vec<_> = topology.iter().filter(|(id, _)| *id != NodeId::SOURCE).collect();
    members.sort_by_key(|(id, member)| (member.room() == 0, member.joined_at, *id));
    for (id, member) in &members {
        forest.viewers.insert(*id, Viewer::new(member));
    }
    if members.iter().all(|(_, member)| fed_halves(member) != Stripes::ALL) {
        members.iter().for_each(|(id, member)| keep_home(forest, *id, member));
        Side::BOTH.into_iter().for_each(|side| keep_places(forest, topology, side));
    }
    for (id, _) in &members {
        forest.settle(*id);
        forest[Side::A].touch_one(*id);
    }
}

fn fed_halves(member: &Member) -> Stripes {
    member.children().iter().fold(Stripes::NONE, |all, (_, stripes)| all.with(*stripes))
}

fn keep_home(forest: &mut Forest, id: NodeId, member: &Member) {
    let home = Side::BOTH.into_iter().find(|side| fed_halves(member) == side.stripe());
    if let Some(viewer) = forest.viewers.get_mut(&id).filter(|viewer| viewer.able) {
        viewer.home = home;
    }
}

/// Seats everybody whom somebody with room feeds, from the source down.
fn keep_places(forest: &mut Forest, topology: &Topology, side: Side) {
    let mut todo = VecDeque::from([(NodeId::SOURCE, Place::SOURCE)]);
    while let Some((feeder, place)) = todo.pop_front() {
        let feeds = forest[side].seat(place).is_some_and(|seat| seat.inner);
        let mut places = place.children().filter(|_| feeds);
        for child in children(forest, topology, side, feeder) {
            let Some(viewer) = forest.viewers.get(&child).copied() else { continue };
            let (inner, free) = (viewer.home == Some(side), places.next());
            match free {
                Some(free) if inner => {
                    forest[side].sit(free, Seat::inner(child, viewer.extra_room));
                    todo.push_back((child, free));
                }
                Some(free) => forest[side].sit(free, Seat::leaf(child)),
                None if !inner && forest[side].roomy.contains(&place) => forest[side].add_extra(place, child),
                None => {}
            }
        }
    }
}

/// Whom a node feeds in a tree, those first who feed others, the older ones before.
fn children(forest: &Forest, topology: &Topology, side: Side, feeder: NodeId) -> Vec<NodeId> {
    let children = topology.get(feeder).map(Member::children).unwrap_or_default();
    let here = children.iter().filter(|(_, stripes)| stripes.meets(side.stripe())).map(|(child, _)| *child);
    let mut here: Vec<_> = here.filter(|child| forest.viewers.contains_key(child)).collect();
    here.sort_by_key(|child| {
        let viewer = forest.viewers.get(child).copied();
        (viewer.and_then(|viewer| viewer.home) != Some(side), viewer.map(|viewer| viewer.joined_at), *child)
    });
    here
}
