//! The leaves of each level by age.

use std::collections::BTreeSet;
use std::ops::Range;

use peerstream_sdk::protocol::time::Micros;

use crate::node::{Node, Slot};

/// A level's list may hold this many entries that say nothing any more, besides as many as there are nodes.
const STALE_MAX: usize = 64;
/// Weak nodes come after all others.
const WEAK: u64 = 1 << 63;

/// A node in the list of its level: those that relay first, then the older ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Leaf {
    rank: u64,
    slot: u32,
}

impl Leaf {
    pub(crate) fn of(slot: Slot, node: &Node) -> Self {
        Self { rank: (node.since.0 & !WEAK) | if node.ability.is_leaf() { WEAK } else { 0 }, slot: slot.0 }
    }

    pub(crate) fn slot(self) -> Slot {
        Slot(self.slot)
    }

    /// Before all weak leaves, or all leaves that relay and are not older than this.
    fn first(since: Micros, weak: bool) -> Self {
        Self { rank: (since.0 & !WEAK) | if weak { WEAK } else { 0 }, slot: 0 }
    }

    /// After this one.
    fn next(self) -> Self {
        Self { slot: self.slot.saturating_add(1), ..self }
    }
}

/// Leaves to choose from.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Choice {
    /// The oldest that relays and is not older than this.
    OldestSince(Micros),
    /// The youngest that relays and is older than this.
    YoungestBefore(Micros),
    /// The oldest that is weak.
    Weak,
}

impl Choice {
    fn range(self) -> Range<Leaf> {
        let start = Leaf { rank: 0, slot: 0 };
        let weak = Leaf::first(Micros(0), true);
        match self {
            Self::OldestSince(since) => Leaf::first(since, false)..weak,
            Self::YoungestBefore(since) => start..Leaf::first(since, false),
            Self::Weak => weak..Leaf { rank: u64::MAX, slot: u32::MAX },
        }
    }
}

/// The leaves of each level. Entries are not taken out when a leaf moves or gets children; whoever reads one checks it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Leaves {
    levels: Vec<Level>,
}

#[derive(Clone, Debug, Default)]
struct Level {
    /// Nodes on the level, leaves or not.
    population: usize,
    leaves: BTreeSet<Leaf>,
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
    pub(crate) fn list(&mut self, level: u32, leaf: Leaf, is_valid: impl Fn(Leaf) -> bool) {
        let Some(level) = self.levels.get_mut(level as usize) else { return };
        if level.leaves.len() >= 2 * level.population + STALE_MAX {
            level.leaves.retain(|leaf| is_valid(*leaf));
        }
        level.leaves.insert(leaf);
    }

    /// Takes an entry out that says nothing any more.
    pub(crate) fn strike(&mut self, level: u32, leaf: Leaf) {
        if let Some(level) = self.levels.get_mut(level as usize) {
            level.leaves.remove(&leaf);
        }
    }

    /// The entry to be looked at first, or after `seen`.
    pub(crate) fn entry(&self, level: u32, choice: Choice, seen: Option<Leaf>) -> Option<Leaf> {
        let leaves = &self.levels.get(level as usize)?.leaves;
        let Range { start, end } = choice.range();
        match choice {
            Choice::YoungestBefore(_) => leaves.range(start..seen.unwrap_or(end)).next_back(),
            _ => leaves.range(seen.map_or(start, Leaf::next)..end).next(),
        }
        .copied()
    }
}
