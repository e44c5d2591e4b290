//! From places to edges: looks at all that changed places concern, and writes what is to be different.

use peerstream_sdk::overlay::Group;
use peerstream_sdk::protocol::id::Stripes;

use crate::backups;
use crate::helpers;
use crate::node::{Edges, Slot};
use crate::pairs::Pairs;
use crate::place::Place;
use crate::retry::Retry;
use crate::tree::Tree;

/// Nodes without a backup that are looked at again with every change.
const UNBACKED_LOOKED_AT: usize = 8;

/// Who is to be looked at in this round, and who could not be served in earlier ones.
#[derive(Clone, Debug)]
pub(crate) struct Wiring {
    standby: bool,
    touched: Vec<Slot>,
    /// Those whose helper may not do any more.
    unsure: Vec<Slot>,
    /// Those who left in this round. Their slots are taken again only when nothing refers to them.
    gone: Vec<Slot>,
    unbacked: Retry,
    unhelped: Retry,
}

impl Wiring {
    pub(crate) fn new(standby: bool) -> Self {
        Self {
            standby,
            touched: Vec::new(),
            unsure: Vec::new(),
            gone: Vec::new(),
            unbacked: Retry::new(|node| &mut node.unbacked),
            unhelped: Retry::new(|node| &mut node.unhelped),
        }
    }

    /// Nodes that have a place and nobody to back them up.
    pub(crate) fn unbacked(&self) -> usize {
        self.unbacked.len()
    }

    /// Nodes that have a place and no older node elsewhere to ask in need.
    pub(crate) fn unhelped(&self) -> usize {
        self.unhelped.len()
    }

    /// The node's edges are looked at in this round.
    pub(crate) fn touch(&mut self, tree: &mut Tree, slot: Slot) {
        let node = &mut tree.nodes[slot];
        if !std::mem::replace(&mut node.touched, true) {
            self.touched.push(slot);
        }
    }

    /// The same, and whether its helper will still do.
    pub(crate) fn doubt(&mut self, tree: &mut Tree, slot: Slot) {
        self.touch(tree, slot);
        self.unsure.push(slot);
    }

    /// The node is gone; its slot is free after this round.
    pub(crate) fn release(&mut self, tree: &mut Tree, slot: Slot) {
        self.cut_loose(tree, slot);
        tree.nodes.forget(slot);
        tree.nodes[slot].edges = Edges::NONE;
        self.gone.push(slot);
    }

    /// Nobody serves the node any more beyond its parent, nor does it serve anybody.
    fn cut_loose(&mut self, tree: &mut Tree, slot: Slot) {
        backups::set(tree, slot, Slot::NONE);
        helpers::set(tree, slot, Slot::NONE);
        self.unbacked.forget(&mut tree.nodes[slot]);
        self.unhelped.forget(&mut tree.nodes[slot]);
        for client in tree.nodes[slot].backs.iter() {
            backups::set(tree, client, Slot::NONE);
            self.touch(tree, client);
        }
        for client in tree.nodes[slot].helps.iter() {
            helpers::set(tree, client, Slot::NONE);
            self.doubt(tree, client);
        }
    }

    /// Looks for helpers for some of those who have none.
    pub(crate) fn retry_helpers(&mut self, tree: &mut Tree, at_most: usize) {
        for _ in 0..at_most {
            let Some(slot) = self.unhelped.pop(tree) else { return };
            self.doubt(tree, slot);
        }
    }

    /// Writes the edges that change with what happened since the last call.
    pub(crate) fn settle(&mut self, tree: &mut Tree, pairs: &Pairs, group: &mut Group) {
        let mut changed = std::mem::take(&mut tree.changed);
        changed.sort_unstable();
        changed.dedup();
        changed.iter().for_each(|place| self.look_around(tree, *place));
        for slot in std::mem::take(&mut tree.displaced) {
            if !tree.nodes[slot].is_placed() {
                self.cut_loose(tree, slot);
                self.touch(tree, slot);
            }
        }
        self.settle_backups(tree, pairs, &changed);
        if self.standby {
            self.settle_helpers(tree, pairs);
        }
        self.unsure.clear();
        changed.clear();
        tree.changed = changed;
        self.write(tree, group);
        self.gone.drain(..).for_each(|slot| tree.nodes.free(slot));
    }

    /// Touches the nodes whose edges may follow from who is at this place.
    fn look_around(&mut self, tree: &mut Tree, place: Place) {
        if let Some(slot) = tree.at(place) {
            self.doubt(tree, slot);
            for client in tree.nodes[slot].backs.iter() {
                self.touch(tree, client);
            }
            for client in tree.nodes[slot].helps.iter() {
                self.doubt(tree, client);
            }
        }
        if let Some(twin) = tree.at(place.twin()) {
            self.touch(tree, twin);
        }
        let forest = tree.forest;
        for child in forest.children(place) {
            let Some(slot) = tree.at(child) else { continue };
            self.touch(tree, slot);
            for grandchild in forest.children(child) {
                if let Some(slot) = tree.at(grandchild) {
                    self.touch(tree, slot);
                }
            }
        }
    }

    fn settle_backups(&mut self, tree: &mut Tree, pairs: &Pairs, changed: &[Place]) {
        for _ in 0..UNBACKED_LOOKED_AT {
            let Some(slot) = self.unbacked.pop(tree) else { break };
            self.touch(tree, slot);
        }
        for slot in &self.touched {
            if !backups::holds(tree, pairs, *slot) {
                backups::set(tree, *slot, Slot::NONE);
            }
        }
        for place in changed {
            let above = tree.forest.parent(*place);
            for server in [Some(*place), Some(place.twin()), above].into_iter().flatten() {
                let Some(server) = tree.at(server) else { continue };
                while let Some(evicted) = backups::surplus(tree, pairs, server) {
                    backups::set(tree, evicted, Slot::NONE);
                    self.touch(tree, evicted);
                }
            }
        }
        for slot in &self.touched {
            if tree.nodes[*slot].is_placed() && tree.nodes[*slot].backup == Slot::NONE {
                let server = backups::find(tree, pairs, *slot);
                backups::set(tree, *slot, server);
                self.unbacked.mark(tree, *slot, server == Slot::NONE);
            }
        }
    }

    fn settle_helpers(&mut self, tree: &mut Tree, pairs: &Pairs) {
        let mut unsure = std::mem::take(&mut self.unsure);
        for slot in unsure.drain(..) {
            if !tree.nodes[slot].is_placed() {
                continue;
            }
            let helper = tree.nodes[slot].helper.some().filter(|helper| helpers::holds(tree, pairs, *helper, slot));
            if helper.is_none() {
                helpers::set(tree, slot, Slot::NONE);
                let found = helpers::find(tree, pairs, slot);
                helpers::set(tree, slot, found);
                self.unhelped.mark(tree, slot, found == Slot::NONE);
            }
        }
        self.unsure = unsure;
    }

    /// Writes what is to be different.
    fn write(&mut self, tree: &mut Tree, group: &mut Group) {
        for slot in self.touched.drain(..) {
            tree.nodes[slot].touched = false;
            let (had, wanted) = (tree.nodes[slot].edges, wanted(tree, slot, self.standby));
            tree.nodes[slot].edges = wanted;
            let node = tree.nodes[slot].id;
            let name = |slot: Slot| tree.name(slot);
            if wanted == Edges::NONE {
                if had != Edges::NONE {
                    group.detach(node);
                }
                continue;
            }
            if let Some(parent) = name(wanted.parent).filter(|_| wanted.parent != had.parent) {
                group.set_parent(node, Stripes::ALL, parent);
            }
            if wanted.backup != had.backup {
                group.set_backup(node, name(wanted.backup));
            }
            if wanted.standby != had.standby {
                group.set_standby(node, wanted.standby.into_iter().filter_map(name));
            }
        }
    }
}

/// The edges that follow from a node's place.
fn wanted(tree: &Tree, slot: Slot, standby: bool) -> Edges {
    let node = &tree.nodes[slot];
    if !node.is_placed() {
        return Edges::NONE;
    }
    let parent = tree.feeder(node.place).unwrap_or(Slot::NONE);
    let above = tree.forest.parent(node.place);
    let grandparent = above.and_then(|above| tree.feeder(above)).unwrap_or(Slot::NONE);
    let standby = if standby { [grandparent, node.helper] } else { [Slot::NONE; 2] };
    Edges { parent, backup: node.backup, standby }
}
