//! Reading ahead: what events are about to ask for, asked of memory before any of it is needed.
//!
//! With a million nodes nearly every record is a cache miss, and one found through the other makes them wait for each other.
//! Here the records around all events of a call are read in a few rounds, each round depending on the one before only,
//! so that the misses of a round overlap. Nothing is decided here and nothing changes.

use std::hint::black_box;

use peerstream_sdk::overlay::Event;

use crate::node::Slot;
use crate::place::Place;
use crate::tree::Tree;

/// From so many slots on it is worth it: fewer nodes and their seats are in the cache anyway.
const SLOTS_MIN: usize = 8_192;
/// At most this many of a call's newcomers are read ahead for; more would push out of the cache what was read first.
const JOINS_MAX: usize = 256;

/// Reads what the leaving of these nodes and as many joins as that will ask for.
pub(crate) fn read(tree: &Tree, leaving: &[Slot], events: &[Event]) {
    if !pays(tree) {
        return;
    }
    leaving.iter().for_each(|slot| read_around_node(tree, *slot));
    let joins = events.iter().filter(|event| matches!(event, Event::Joined(_))).count();
    // Newcomers will most likely go there.
    let open = || tree.open().take(joins.min(JOINS_MAX));
    open().for_each(|place| read_seats(tree, place));
    leaving.iter().for_each(|slot| read_beyond(tree, *slot));
    open().for_each(|place| read_neighbours(tree, place));
}

/// Whether the audience is larger than what a cache holds.
pub(crate) fn pays(tree: &Tree) -> bool {
    tree.nodes.slots() >= SLOTS_MIN
}

fn read_node(tree: &Tree, slot: Slot) {
    if !matches!(slot, Slot::NONE | Slot::SOURCE) {
        black_box(tree.nodes[slot].place);
    }
}

/// Its seat and those above, its helper, and those it helps or backs.
fn read_around_node(tree: &Tree, slot: Slot) {
    let node = &tree.nodes[slot];
    read_node(tree, node.helper);
    node.backs.iter().chain(node.helps.iter()).for_each(|client| read_node(tree, client));
    if node.is_placed() {
        read_seats(tree, node.place);
        if node.children > 0 {
            tree.forest.children(node.place).for_each(|child| read_seat(tree, child));
        }
    }
}

fn read_seat(tree: &Tree, place: Place) {
    black_box(tree.at(place));
}

/// The seats of a dumbbell, its parent and its grandparent.
fn read_seats(tree: &Tree, place: Place) {
    let above = tree.forest.parent(place);
    let places = [Some(place), above, above.and_then(|above| tree.forest.parent(above))];
    places.into_iter().flatten().for_each(|place| read_seat(tree, place));
}

/// The nodes around its place, and the seats around those it helps.
fn read_beyond(tree: &Tree, slot: Slot) {
    let node = &tree.nodes[slot];
    node.helps.iter().for_each(|client| read_seats(tree, tree.nodes[client].place));
    read_neighbours(tree, node.place);
    if node.children > 0 {
        let children = tree.forest.children(node.place).filter_map(|child| tree.at(child));
        children.for_each(|child| read_node(tree, child));
    }
}

/// The nodes of its twin, its parent and the twin of that one.
fn read_neighbours(tree: &Tree, place: Place) {
    if place == Place::NONE {
        return;
    }
    let above = tree.forest.parent(place);
    let places = [Some(place.twin()), above, above.map(Place::twin)];
    places.into_iter().flatten().filter_map(|place| tree.at(place)).for_each(|slot| read_node(tree, slot));
}
