//! Those for whom nothing was found, to be looked at again a few at a time.

use std::collections::VecDeque;

use crate::node::{Node, Slot};
use crate::tree::Tree;

/// Nodes that lack something. Each is queued once, so the queue is never longer than there are slots.
#[derive(Clone, Debug)]
pub(crate) struct Retry {
    lack: fn(&mut Node) -> &mut Lack,
    queue: VecDeque<Slot>,
    lacking: usize,
}

/// Whether a node lacks something, and whether its slot is in the queue for that.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Lack {
    lacks: bool,
    queued: bool,
}

impl Lack {
    /// What is left when another node takes the slot.
    pub(crate) fn of_slot(self) -> Self {
        Self { lacks: false, ..self }
    }
}

impl Retry {
    pub(crate) fn new(lack: fn(&mut Node) -> &mut Lack) -> Self {
        Self { lack, queue: VecDeque::new(), lacking: 0 }
    }

    /// How many nodes lack it.
    pub(crate) fn len(&self) -> usize {
        self.lacking
    }

    /// Notes whether the node lacks it.
    pub(crate) fn mark(&mut self, tree: &mut Tree, slot: Slot, lacks: bool) {
        let lack = (self.lack)(&mut tree.nodes[slot]);
        self.lacking = self.lacking + usize::from(lacks) - usize::from(lack.lacks);
        lack.lacks = lacks;
        if lacks && !std::mem::replace(&mut lack.queued, true) {
            self.queue.push_back(slot);
        }
    }

    /// The node is not concerned any more.
    pub(crate) fn forget(&mut self, node: &mut Node) {
        let lack = (self.lack)(node);
        self.lacking -= usize::from(std::mem::take(&mut lack.lacks));
    }

    /// The next one that still lacks it. It is queued again when it is marked again.
    pub(crate) fn pop(&mut self, tree: &mut Tree) -> Option<Slot> {
        loop {
            let slot = self.queue.pop_front()?;
            let lack = (self.lack)(&mut tree.nodes[slot]);
            lack.queued = false;
            if lack.lacks {
                return Some(slot);
            }
        }
    }
}
