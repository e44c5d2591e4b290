//! The second standby: an older node elsewhere in the trees.
//!
//! A grandparent goes with its whole subtree when many go at once; a node somewhere else does not. Leaves that relay are
//! the best helpers, since all their copies are idle; a node that feeds others helps one at most. Which older node
//! it is, is a matter of chance, so that not all the nodes of a subtree depend on the same others.

use crate::chance;
use crate::node::{Node, Slot};
use crate::pairs::Pairs;
use crate::tree::Tree;

/// Nodes that a leaf helps at most, as many as it has copies.
pub(crate) const CLIENTS_OF_LEAF_MAX: usize = 3;
/// Nodes that a node with children helps at most.
const CLIENTS_OF_INNER_MAX: usize = 1;
/// Random spots looked at.
const SPOTS: u64 = 6;
/// Nodes looked at from each spot on.
const SPOT: usize = 3;
/// Places nearer to the source looked at, when that found nobody: the old are there.
const PLACES: u64 = 8;

/// Whether the helper may go on helping.
pub(crate) fn holds(tree: &Tree, pairs: &Pairs, helper: Slot, client: Slot) -> bool {
    let (helper, client) = (&tree.nodes[helper], &tree.nodes[client]);
    let apart = |a: &Node, b: &Node| !tree.forest.is_below(a.place, b.place);
    helper.is_placed()
        && !helper.weak
        && helper.age() < client.age()
        && apart(helper, client)
        && apart(client, helper)
        && !pairs.contains(helper.id, client.id)
}

/// An older node elsewhere that has a copy to spare.
pub(crate) fn find(tree: &Tree, pairs: &Pairs, client: Slot) -> Slot {
    let node = &tree.nodes[client];
    let room = |slot: &Slot| {
        let helper = &tree.nodes[*slot];
        let most = if tree.is_leaf(helper.place) { CLIENTS_OF_LEAF_MAX } else { CLIENTS_OF_INNER_MAX };
        helper.helps.len() < most && *slot != node.backup
    };
    let fits = |slot: &Slot| holds(tree, pairs, *slot, client) && room(slot);
    let slots = tree.nodes.slots();
    let spot = |tries: u64| {
        let from = chance::below(slots, node.id.0, tries);
        (from..slots.min(from + SPOT)).map(|slot| Slot(slot as u32))
    };
    let is_leaf = |slot: &Slot| tree.is_leaf(tree.nodes[*slot].place);
    let above = |tries: u64| tree.at_index(chance::below(node.place.index().max(1), node.id.0, tries));
    let leaf = (0..SPOTS).flat_map(spot).find(|slot| fits(slot) && is_leaf(slot));
    let anybody = || (SPOTS..SPOTS + PLACES).filter_map(above).find(fits);
    leaf.or_else(anybody).unwrap_or(Slot::NONE)
}

/// Makes that one the helper.
pub(crate) fn set(tree: &mut Tree, client: Slot, helper: Slot) {
    let old = std::mem::replace(&mut tree.nodes[client].helper, Slot::NONE);
    if old != Slot::NONE {
        tree.nodes[old].helps.remove(client);
    }
    if helper != Slot::NONE && tree.nodes[helper].helps.insert(client) {
        tree.nodes[client].helper = helper;
    }
}
