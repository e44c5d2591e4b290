//! What is explored: who is there, what shall be, and how much goes wrong.

use std::hash::{Hash, Hasher};

use peerstream_overlay::Group;
use peerstream_protocol::id::{NodeId, Stripes};

/// The `index`th viewer to join; 0 is the source.
pub fn node(index: u64) -> NodeId {
    if index == 0 { NodeId::SOURCE } else { NodeId((1 << 32) | index) }
}

/// Edges, each a child and its parent by index.
pub type Edges = &'static [(u64, u64)];

pub fn group(edges: Edges) -> Group {
    let mut group = Group::default();
    for (child, parent) in edges {
        group.set_parent(node(*child), Stripes::ALL, node(*parent));
    }
    group
}

/// How often each sort of trouble may happen on one way through the state space.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Troubles {
    /// Assignments and reports that never arrive.
    pub lost: u8,
    /// Assignments that arrive twice.
    pub doubled: u8,
    /// Assignments and reports that are overtaken by later ones.
    pub late: u8,
    /// Seconds that pass while messages are under way.
    pub seconds: u8,
    /// Control connections that break; all come back, at any time after.
    pub cut: u8,
    /// Nodes that vanish.
    pub deaths: u8,
    /// Nodes that say goodbye.
    pub leaves: u8,
    /// Nodes that join.
    pub joins: u8,
    /// Links between nodes that do not open at the first attempt.
    pub failed_links: u8,
}

/// A fault put into the machinery, which the checker must find.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutant {
    /// A node takes an assignment that is older than the one in force.
    TakesOlder,
    /// The coordinator takes what it has sent for done: the rule of issuing has nothing left to go by.
    ConfirmsAtOnce,
    /// A node lets its old parent go as soon as the assignment does not name it any more.
    LetsGoAtOnce,
    /// A node feeds its children whether their conditions hold or not.
    IgnoresConditions,
    /// A node speaks when something has changed, and never again if that is lost.
    SpeaksOnce,
}

/// What is explored.
#[derive(Clone, Debug, Default)]
pub struct Scenario {
    /// Viewers that are there from the start, and who feeds them.
    pub start: Edges,
    /// What the strategy asks for, one after the other, each at any time after the one before.
    pub plans: &'static [Edges],
    pub troubles: Troubles,
    /// Links between nodes open at any time after somebody has called, and carry messages with delay; else at once.
    pub slow_links: bool,
    /// This viewer gets nothing new of any later parent.
    pub silent: Option<u64>,
    pub mutant: Option<Mutant>,
}

impl Scenario {
    pub fn is(&self, mutant: Mutant) -> bool {
        self.mutant == Some(mutant)
    }
}

// One scenario at a time, so it tells no states apart.
impl Hash for Scenario {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

impl PartialEq for Scenario {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}
