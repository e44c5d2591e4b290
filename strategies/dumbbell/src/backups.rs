//! Who backs up whom.
//!
//! A whole dumbbell backs each other up. A node without a twin that relays is *lone*, and backed up by the nearest node
//! above it in the other tree that has a copy to spare, else by a leaf elsewhere that relays: all its copies are idle.
//! Below a single root A1 the source backs up B1, and nobody A1.

use crate::chance;
use crate::node::{COPIES, Slot};
use crate::pairs::Pairs;
use crate::place::Place;
use crate::tree::Tree;

/// Random spots looked at for a backup elsewhere, and nodes looked at from each spot on.
const SPOTS: u64 = 8;
const SPOT: usize = 4;

/// Whether the node's backup can stay what it is. Nobody is a backup that can always be bettered.
pub(crate) fn holds(tree: &Tree, pairs: &Pairs, slot: Slot) -> bool {
    let node = &tree.nodes[slot];
    if !node.is_placed() || node.backup == Slot::NONE {
        return false;
    }
    match given(tree, pairs, slot) {
        Some(given) => node.backup == given,
        None => may_back(tree, pairs, node.backup, slot),
    }
}

/// The best backup there is now for a node that has a place.
pub(crate) fn find(tree: &Tree, pairs: &Pairs, slot: Slot) -> Slot {
    if let Some(given) = given(tree, pairs, slot) {
        return given;
    }
    let above = tree.forest.across(tree.nodes[slot].place).filter_map(|place| server(tree, pairs, place, slot));
    let has_copy = |server: &Slot| lone_clients(tree, *server).count() < copies_for_lone(tree, pairs, *server);
    let mut found = above.into_iter().find(has_copy);
    if found.is_none() {
        let node = &tree.nodes[slot];
        let fits = |server: &Slot| *server != node.helper && may_back(tree, pairs, *server, slot) && has_copy(server);
        found = spots(tree, slot).find(fits);
    }
    found.unwrap_or(Slot::NONE)
}

/// Leaves elsewhere, as chance will have it.
fn spots(tree: &Tree, slot: Slot) -> impl Iterator<Item = Slot> {
    let (slots, name) = (tree.nodes.slots(), tree.nodes[slot].id.0);
    let from = (0..SPOTS).map(move |tries| chance::below(slots, !name, tries));
    let spots = from.flat_map(move |from| from..slots.min(from + SPOT)).map(|slot| Slot(slot as u32));
    spots.filter(|spot| tree.nodes[*spot].is_leaf())
}

/// Makes that one the backup.
pub(crate) fn set(tree: &mut Tree, slot: Slot, backup: Slot) {
    let old = std::mem::replace(&mut tree.nodes[slot].backup, Slot::NONE);
    if !matches!(old, Slot::NONE | Slot::SOURCE) {
        tree.nodes[old].backs.remove(slot);
    }
    let there_is_room = matches!(backup, Slot::NONE | Slot::SOURCE) || tree.nodes[backup].backs.insert(slot);
    if there_is_room {
        tree.nodes[slot].backup = backup;
    }
}

/// A lone client for which the server has no copy any more.
pub(crate) fn surplus(tree: &Tree, pairs: &Pairs, server: Slot) -> Option<Slot> {
    let node = &tree.nodes[server];
    if !node.ability.is_leaf() && usize::from(node.children) + node.backs.len() < COPIES {
        // There are copies for all of them and for the twin.
        return None;
    }
    let last = lone_clients(tree, server).next_back()?;
    (lone_clients(tree, server).count() > copies_for_lone(tree, pairs, server)).then_some(last)
}

/// The backup that the node's place gives it; none for a lone node.
fn given(tree: &Tree, pairs: &Pairs, slot: Slot) -> Option<Slot> {
    let place = tree.nodes[slot].place;
    if let Some(root) = single_root(tree) {
        if place == root {
            return Some(Slot::NONE);
        }
        if place == root.twin() {
            return Some(Slot::SOURCE);
        }
    }
    server(tree, pairs, place.twin(), slot)
}

fn single_root(tree: &Tree) -> Option<Place> {
    tree.forest.roots().next().filter(|_| tree.forest.has_single_root())
}

/// The node there, if it can feed that one.
fn server(tree: &Tree, pairs: &Pairs, place: Place, client: Slot) -> Option<Slot> {
    let seat = tree.seat(place)?;
    (seat.ability.may_relay() && !pairs.contains(seat.id, tree.nodes[client].id)).then_some(seat.slot)
}

fn may_back(tree: &Tree, pairs: &Pairs, backup: Slot, lone: Slot) -> bool {
    if backup == Slot::SOURCE {
        return false;
    }
    let (there, place) = (tree.nodes[backup].place, tree.nodes[lone].place);
    let apart = |a: Place, b: Place| !tree.forest.is_below(a, b);
    there != Place::NONE
        && server(tree, pairs, there, lone) == Some(backup)
        && (tree.forest.across(place).any(|across| across == there) || (apart(there, place) && apart(place, there)))
}

/// Those a node backs up who are not its twin.
fn lone_clients(tree: &Tree, server: Slot) -> impl DoubleEndedIterator<Item = Slot> {
    let twin = tree.at(tree.nodes[server].place.twin());
    tree.nodes[server].backs.iter().filter(move |client| Some(*client) != twin)
}

/// Copies a node has for lone nodes: those its children and its twin leave.
fn copies_for_lone(tree: &Tree, pairs: &Pairs, server: Slot) -> usize {
    let node = &tree.nodes[server];
    if node.ability.is_leaf() {
        return 0;
    }
    let twin = tree.at(node.place.twin());
    let backs_twin = twin.is_some_and(|twin| given(tree, pairs, twin) == Some(server));
    COPIES.saturating_sub(usize::from(node.children) + usize::from(backs_twin))
}
