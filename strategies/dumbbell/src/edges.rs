//! From places to edges: looks at all that changed places concern, and writes what is to be different.

use peerstream_sdk::overlay::Group;
use peerstream_sdk::protocol::id::{NodeId, Stripes};

use crate::backups;
use crate::helpers;
use crate::node::{Marks, Slot};
use crate::pairs::Pairs;
use crate::place::Place;
use crate::retry::Retry;
use crate::tree::Tree;

/// Nodes without a backup that are looked at again with every change.
const UNBACKED_LOOKED_AT: usize = 8;

/// A node whose edges are looked at in this round, and what it had before.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Touched {
    pub(crate) slot: Slot,
    pub(crate) backup: Slot,
    pub(crate) helper: Slot,
}

/// Who is to be looked at in this round, and who could not be served in earlier ones.
#[derive(Clone, Debug)]
pub(crate) struct Wiring {
    standby: bool,
    touched: Vec<Touched>,
    /// Those whose helper may not do any more.
    unsure: Vec<Slot>,
    /// Those who left in this round. Their slots are taken again only when nothing refers to them.
    gone: Vec<Slot>,
    unbacked: Retry,
    unhelped: Retry,
    spots: helpers::Spots,
}

impl Wiring {
    pub(crate) fn new(standby: bool) -> Self {
        Self {
            standby,
            touched: Vec::new(),
            unsure: Vec::new(),
            gone: Vec::new(),
            unbacked: Retry::unbacked(),
            unhelped: Retry::unhelped(),
            spots: helpers::Spots::default(),
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

    /// The node's edges are looked at in this round. To be called before its backup or its helper changes.
    pub(crate) fn touch(&mut self, tree: &mut Tree, slot: Slot) {
        let node = &tree.nodes[slot];
        let helper = if self.standby { node.helper } else { Slot::NONE };
        self.touch_as(tree, Touched { slot, backup: node.backup, helper });
    }

    /// The same for a node that has these in the topology.
    pub(crate) fn touch_as(&mut self, tree: &mut Tree, touched: Touched) {
        if !tree.nodes[touched.slot].marks.set(Marks::TOUCHED, true) {
            self.touched.push(touched);
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
        tree.nodes[slot].marks.set(Marks::GONE, true);
        self.gone.push(slot);
    }

    /// Nobody serves the node any more beyond its parent, nor does it serve anybody.
    fn cut_loose(&mut self, tree: &mut Tree, slot: Slot) {
        backups::set(tree, slot, Slot::NONE);
        helpers::set(tree, slot, Slot::NONE);
        self.unbacked.forget(&mut tree.nodes[slot]);
        self.unhelped.forget(&mut tree.nodes[slot]);
        for client in tree.nodes[slot].backs.iter() {
            self.touch(tree, client);
            backups::set(tree, client, Slot::NONE);
        }
        for client in tree.nodes[slot].helps.iter() {
            self.doubt(tree, client);
            helpers::set(tree, client, Slot::NONE);
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
        let mut displaced = std::mem::take(&mut tree.displaced);
        for slot in displaced.drain(..) {
            if !tree.nodes[slot].is_placed() {
                self.touch(tree, slot);
                self.cut_loose(tree, slot);
            }
        }
        tree.displaced = displaced;
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
        let occupant = tree.at(place);
        if let Some(slot) = occupant {
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
        if occupant.is_some_and(|slot| tree.nodes[slot].children > 0) {
            self.look_below(tree, place);
        }
    }

    /// Touches the children and grandchildren of the node there.
    fn look_below(&mut self, tree: &mut Tree, place: Place) {
        let forest = tree.forest;
        for child in forest.children(place) {
            let Some(slot) = tree.at(child) else { continue };
            self.touch(tree, slot);
            if tree.nodes[slot].children == 0 {
                continue;
            }
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
        for Touched { slot, .. } in &self.touched {
            if !backups::holds(tree, pairs, *slot) {
                backups::set(tree, *slot, Slot::NONE);
            }
        }
        for place in changed {
            let above = tree.forest.parent(*place);
            for server in [Some(*place), Some(place.twin()), above].into_iter().flatten() {
                let Some(server) = tree.at(server) else { continue };
                while let Some(evicted) = backups::surplus(tree, pairs, server) {
                    self.touch(tree, evicted);
                    backups::set(tree, evicted, Slot::NONE);
                }
            }
        }
        for Touched { slot, .. } in &self.touched {
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
                let found = helpers::find(tree, pairs, &mut self.spots, slot);
                helpers::set(tree, slot, found);
                self.unhelped.mark(tree, slot, found == Slot::NONE);
            }
        }
        self.unsure = unsure;
        self.spots.read_ahead(tree);
    }

    /// Writes what is to be different.
    fn write(&mut self, tree: &mut Tree, group: &mut Group) {
        for had in self.touched.drain(..) {
            tree.nodes[had.slot].marks.set(Marks::TOUCHED, false);
            let node = &tree.nodes[had.slot];
            if node.is_placed() {
                write_node(tree, had, self.standby, group);
            } else if !node.marks.has(Marks::GONE) {
                let edges = [node.parent, node.grandparent, had.backup, had.helper];
                if edges.iter().any(|edge| *edge != Slot::NONE) {
                    group.detach(node.id);
                }
                let node = &mut tree.nodes[had.slot];
                (node.parent, node.grandparent) = (Slot::NONE, Slot::NONE);
            }
        }
    }
}

/// Writes how the edges that follow from a node's place differ from those it had.
fn write_node(tree: &mut Tree, had: Touched, standby: bool, group: &mut Group) {
    let node = &tree.nodes[had.slot];
    let nobody = (Slot::NONE, NodeId::SOURCE);
    let (parent, parent_id) = tree.feeder_and_name(node.place).unwrap_or(nobody);
    let above = tree.forest.parent(node.place).filter(|_| standby);
    let (grandparent, grandparent_id) = above.and_then(|above| tree.feeder_and_name(above)).unwrap_or(nobody);
    if parent != node.parent && parent != Slot::NONE {
        group.set_parent(node.id, Stripes::ALL, parent_id);
    }
    if node.backup != had.backup {
        group.set_backup(node.id, tree.name(node.backup));
    }
    let helper = if standby { node.helper } else { Slot::NONE };
    if (grandparent, helper) != (node.grandparent, had.helper) {
        let grandparent = (grandparent != Slot::NONE).then_some(grandparent_id);
        group.set_standby(node.id, grandparent.into_iter().chain(tree.name(helper)));
    }
    let node = &mut tree.nodes[had.slot];
    (node.parent, node.grandparent) = (parent, grandparent);
}
