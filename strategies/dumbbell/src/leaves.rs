//! The leaves of each level by age.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::node::{Node, Slot};

/// A level's list may hold this many entries that say nothing any more, besides as many as there are nodes.
const STALE_MAX: usize = 64;
/// Weak nodes come after all others.
const WEAK: u64 = 1 << 63;

type Entry = Reverse<(u64, u32)>;

/// The leaves of each level, those that relay first, then the older ones.
///
/// Entries are not taken out when a leaf moves or gets children; whoever reads them checks them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Leaves {
    levels: Vec<Level>,
}

#[derive(Clone, Debug, Default)]
struct Level {
    /// Nodes on the level, leaves or not.
    population: usize,
    leaves: BinaryHeap<Entry>,
}

/// Where a node stands in its level's list.
fn rank(node: &Node) -> u64 {
    (node.since.0 & !WEAK) | if node.weak { WEAK } else { 0 }
}

impl Leaves {
    /// A node has come to a level.
    pub(crate) fn arrive(&mut self, level: u32) {
        let level = level as usize;
        if level >= self.levels.len() {
            self.levels.resize_with(level + 1, Level::default);
        }
        self.levels[level].population += 1;
    }

    /// A node has left a level.
    pub(crate) fn depart(&mut self, level: u32) {
        self.levels[level as usize].population -= 1;
        while self.levels.last().is_some_and(|last| last.population == 0) {
            self.levels.pop();
        }
    }

    /// The last level that has a node.
    pub(crate) fn last_level(&self) -> Option<u32> {
        (self.levels.len() as u32).checked_sub(1)
    }

    /// Lists a leaf of that level. `is_valid` tells whether an entry still says something.
    pub(crate) fn list(&mut self, level: u32, slot: Slot, node: &Node, is_valid: impl Fn(Slot, bool) -> bool) {
        let Some(level) = self.levels.get_mut(level as usize) else { return };
        if level.leaves.len() >= 2 * level.population + STALE_MAX {
            level.leaves.retain(|Reverse((rank, slot))| is_valid(Slot(*slot), rank & WEAK != 0));
        }
        level.leaves.push(Reverse((rank(node), slot.0)));
    }

    /// Takes the first entry out, right or wrong.
    pub(crate) fn pop(&mut self, level: u32) -> Option<Listed> {
        let Reverse((rank, slot)) = self.levels.get_mut(level as usize)?.leaves.pop()?;
        Some(Listed { slot: Slot(slot), rank })
    }

    /// Puts an entry back.
    pub(crate) fn push_back(&mut self, level: u32, listed: Listed) {
        if let Some(level) = self.levels.get_mut(level as usize) {
            level.leaves.push(Reverse((listed.rank, listed.slot.0)));
        }
    }
}

/// An entry of a level's list.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Listed {
    pub(crate) slot: Slot,
    rank: u64,
}

impl Listed {
    /// Whether the entry is this node's as it is now.
    pub(crate) fn is_of(&self, node: &Node) -> bool {
        node.listed && self.rank == rank(node)
    }
}
