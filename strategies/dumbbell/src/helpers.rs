//! The second standby: an older node elsewhere in the trees.
//!
//! A grandparent goes with its whole subtree when many go at once; a node somewhere else does not. Leaves that relay are
//! the best helpers, since all their copies are idle; others do when no such leaf is found. Nobody helps more nodes than it
//! has copies. Which older node it is, is a matter of chance, so that the nodes of a subtree depend on different ones.

use crate::ahead;
use crate::chance;
use crate::node::{COPIES, Node, Slot};
use crate::pairs::Pairs;
use crate::place::Place;
use crate::tree::Tree;

/// Random spots looked at.
const SPOTS: usize = 9;
/// Nodes looked at from each spot on.
const SPOT: usize = 2;
/// Spots read before they are needed, since each is a cache miss in a large audience.
const SPOTS_AHEAD: u64 = 64;
/// Places nearer to the source looked at, when that found nobody: the old are there.
const PLACES: u64 = 8;

/// Spots drawn by chance, one after another. Which they are follows from how many were drawn before, so the next ones are
/// known and can be read early.
#[derive(Clone, Debug, Default)]
pub(crate) struct Spots {
    drawn: u64,
    read: u64,
}

impl Spots {
    fn draw(&mut self, tree: &Tree) -> impl Iterator<Item = Slot> + use<> {
        self.drawn += 1;
        Self::at(tree, self.drawn)
    }

    /// Reads the nodes that will be looked at next.
    pub(crate) fn read_ahead(&mut self, tree: &Tree) {
        if !ahead::pays(tree) {
            return;
        }
        let end = self.drawn + SPOTS_AHEAD;
        let ahead = self.read.max(self.drawn)..end;
        ahead.flat_map(|drawn| Self::at(tree, drawn + 1)).for_each(|slot| {
            std::hint::black_box(tree.nodes[slot].place);
        });
        self.read = end;
    }

    fn at(tree: &Tree, drawn: u64) -> impl Iterator<Item = Slot> + use<> {
        let slots = tree.nodes.slots();
        let from = if slots == 0 { 0 } else { chance::below(slots, drawn, 0) };
        (from..slots.min(from + SPOT)).map(|slot| Slot(slot as u32))
    }
}

/// Whether the helper may go on helping.
pub(crate) fn holds(tree: &Tree, pairs: &Pairs, helper: Slot, client: Slot) -> bool {
    let (helper, client) = (&tree.nodes[helper], &tree.nodes[client]);
    let apart = |a: &Node, b: &Node| !tree.forest.is_below(a.place, b.place);
    helper.is_placed()
        && !helper.ability.is_leaf()
        && helper.age() < client.age()
        && apart(helper, client)
        && apart(client, helper)
        && !pairs.contains(helper.id, client.id)
}

/// An older node elsewhere that has a copy to spare.
pub(crate) fn find(tree: &Tree, pairs: &Pairs, spots: &mut Spots, client: Slot) -> Slot {
    let node = &tree.nodes[client];
    let room = |slot: &Slot| tree.nodes[*slot].helps.len() < COPIES && *slot != node.backup;
    let fits = |slot: &Slot| room(slot) && holds(tree, pairs, *slot, client);
    let above = |tries: u64| tree.at(Place(chance::below(node.place.index().max(1), node.id.0, tries) as u32));
    let leaf = (0..SPOTS).flat_map(|_| spots.draw(tree)).find(|slot| tree.nodes[*slot].is_leaf() && fits(slot));
    let anybody = || (0..PLACES).filter_map(above).find(fits);
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
