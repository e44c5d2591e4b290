//! Those for whom nothing was found, to be looked at again a few at a time.

use std::collections::VecDeque;

use crate::node::{Marks, Node, Slot};
use crate::tree::Tree;

/// Nodes that lack something. Each is queued once, so the queue is never longer than there are slots.
#[derive(Clone, Debug)]
pub(crate) struct Retry {
    /// The mark of those who lack it.
    lacks: u8,
    /// The mark of those whose slot is in the queue.
    queued: u8,
    queue: VecDeque<Slot>,
    lacking: usize,
}

impl Retry {
    /// For those who have no backup.
    pub(crate) fn unbacked() -> Self {
        Self { lacks: Marks::UNBACKED, queued: Marks::UNBACKED_QUEUED, queue: VecDeque::new(), lacking: 0 }
    }

    /// For those who have no helper.
    pub(crate) fn unhelped() -> Self {
        Self { lacks: Marks::UNHELPED, queued: Marks::UNHELPED_QUEUED, ..Self::unbacked() }
    }

    /// How many nodes lack it.
    pub(crate) fn len(&self) -> usize {
        self.lacking
    }

    /// Notes whether the node lacks it.
    pub(crate) fn mark(&mut self, tree: &mut Tree, slot: Slot, lacks: bool) {
        let marks = &mut tree.nodes[slot].marks;
        let lacked = marks.set(self.lacks, lacks);
        self.lacking = self.lacking + usize::from(lacks) - usize::from(lacked);
        if lacks && !marks.set(self.queued, true) {
            self.queue.push_back(slot);
        }
    }

    /// The node is not concerned any more.
    pub(crate) fn forget(&mut self, node: &mut Node) {
        self.lacking -= usize::from(node.marks.set(self.lacks, false));
    }

    /// The next one that still lacks it. It is queued again when it is marked again.
    pub(crate) fn pop(&mut self, tree: &mut Tree) -> Option<Slot> {
        loop {
            let slot = self.queue.pop_front()?;
            let marks = &mut tree.nodes[slot].marks;
            marks.set(self.queued, false);
            if marks.has(self.lacks) {
                return Some(slot);
            }
        }
    }
}
