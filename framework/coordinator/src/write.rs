//! Writes an assignment: each peer once per side, within the bound.

use std::collections::BTreeSet;

use peerstream_protocol::control::{Assignment, Edge, LINKS_MAX};
use peerstream_protocol::id::{NodeId, Term};

/// An assignment being written, the most important edges first.
pub(crate) struct Writer {
    assignment: Assignment,
    peers: BTreeSet<NodeId>,
    dropped: u64,
}

impl Writer {
    pub(crate) fn new(term: Term) -> Self {
        Self { assignment: Assignment { term, ..Assignment::default() }, peers: BTreeSet::new(), dropped: 0 }
    }

    pub(crate) fn parent(&mut self, parent: Option<NodeId>) {
        self.assignment.parents = self.fresh(parent.into_iter().map(Edge::now));
    }

    pub(crate) fn children(&mut self, children: impl Iterator<Item = Edge>) {
        // A child may be the present parent while the two change places.
        self.assignment.children = children.collect();
        self.peers.extend(self.assignment.children.iter().map(|edge| edge.peer));
    }

    pub(crate) fn backup(&mut self, backup: Option<NodeId>) {
        // The two of a dumbbell back each other up, so a backup may be named twice.
        let parents = &self.assignment.parents;
        let backup = backup.filter(|backup| parents.iter().all(|edge| edge.peer != *backup));
        self.assignment.backup = backup.map(Edge::now);
    }

    pub(crate) fn backs(&mut self, backs: &[NodeId]) {
        let children = &self.assignment.children;
        let fed = |peer: &NodeId| children.iter().any(|edge| edge.peer == *peer);
        self.assignment.backs = backs.iter().copied().filter(|peer| !fed(peer)).map(Edge::now).collect();
        self.peers.extend(&self.assignment.backup.map(|edge| edge.peer));
        self.peers.extend(self.assignment.backs.iter().map(|edge| edge.peer));
    }

    pub(crate) fn standby(&mut self, peers: impl Iterator<Item = NodeId>) {
        self.assignment.standby = self.fresh(peers.map(Edge::now));
    }

    /// The assignment, and how many edges had to be left out.
    pub(crate) fn finish(mut self) -> (Assignment, u64) {
        let all = &mut self.assignment;
        let mut left = LINKS_MAX - all.parents.len() - usize::from(all.backup.is_some());
        for edges in [&mut all.children, &mut all.backs, &mut all.standby] {
            self.dropped += edges.len().saturating_sub(left) as u64;
            edges.truncate(left);
            left -= edges.len();
        }
        (self.assignment, self.dropped)
    }

    /// Those edges whose peer is not named yet.
    fn fresh(&mut self, edges: impl Iterator<Item = Edge>) -> Vec<Edge> {
        edges.filter(|edge| self.peers.insert(edge.peer)).collect()
    }
}
