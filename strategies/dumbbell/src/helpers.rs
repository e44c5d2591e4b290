//! The second standby: an older node elsewhere in the trees.
//!
//! A grandparent goes with its whole subtree when many go at once; a node somewhere else does not. Leaves that relay are
//! the best helpers, since all their copies are idle; others do when no such leaf is found. Nobody helps more nodes than it
//! has copies. Which older node it is, is a matter of chance, so that the nodes of a subtree depend on different ones.

use crate::chance;
use crate::node::{COPIES, Node, Slot};
use crate::pairs::Pairs;
use crate::tree::Tree;

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
    let room = |slot: &Slot| tree.nodes[*slot].helps.len() < COPIES && *slot != node.backup;
    let fits = |slot: &Slot| room(slot) && holds(tree, pairs, *slot, client);
    let slots = tree.nodes.slots();
    let spot = |tries: u64| {
        let from = chance::below(slots, node.id.0, tries);
        (from..slots.min(from + SPOT)).map(|slot| Slot(slot as u32))
    };
    let above = |tries: u64| tree.at_index(chance::below(node.place.index().max(1), node.id.0, tries));
    let leaf = (0..SPOTS).flat_map(spot).find(|slot| tree.nodes[*slot].is_leaf() && fits(slot));
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
