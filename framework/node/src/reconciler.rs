//! Turns the assignment and the state of the links into actions, make before break.
//!
//! A small value without a clock, so that a model checker can run it. Conditions are predicates over present state;
//! a newer assignment replaces an older one whole, which is what command folding comes to.

use peerstream_protocol::control::{Assignment, Edge, When};
use peerstream_protocol::id::NodeId;

use crate::few::Few;

/// What the reconciler knows of a link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Link {
    /// Both lanes are open.
    pub open: bool,
    /// This node has asked it for a feed and not taken that back.
    pub wanted: bool,
    /// It feeds this node and has delivered a piece this node did not have.
    pub feeds_me: bool,
    /// This node feeds it.
    pub fed_by_me: bool,
}

/// One step towards the assignment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Set up a link.
    Connect(NodeId),
    /// Ask for a feed.
    Want(NodeId),
    /// Take a want back.
    Release(NodeId),
    /// Stop feeding a node that is not in the assignment any more.
    Drop(NodeId),
    /// Close a link that nobody needs.
    Close(NodeId),
}

/// The assignment in force and the links as they are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Reconciler {
    assignment: Assignment,
    /// Whom the assignment names, sorted.
    peers: Vec<NodeId>,
    links: Few<NodeId, Link>,
    /// Nodes this one helps although the assignment does not say so any more, until they have a parent that feeds them.
    lingering: Few<NodeId, ()>,
    /// Nothing has changed since [`Self::step`] found nothing to do.
    settled: bool,
}

impl Reconciler {
    /// The assignment in force.
    pub fn assignment(&self) -> &Assignment {
        &self.assignment
    }

    /// Takes an assignment; false when it is not newer than the one in force.
    pub fn assign(&mut self, assignment: Assignment) -> bool {
        if (assignment.term, assignment.version) <= (self.assignment.term, self.assignment.version) {
            return false;
        }
        let helped = |peer: &NodeId| !self.is_child(*peer) && self.rescues(*peer);
        let helped: Vec<_> = self.fed().filter(helped).collect();
        self.peers = assignment.peers().into_iter().collect();
        self.assignment = assignment;
        self.lingering.retain(|peer, ()| !self.peers.contains(peer));
        for peer in helped.into_iter().filter(|peer| !self.peers.contains(peer)) {
            self.lingering.insert(peer, ());
        }
        self.settled = false;
        true
    }

    /// Whether the assignment names this peer.
    pub fn names(&self, peer: NodeId) -> bool {
        self.peers.contains(&peer)
    }

    /// The state of the link with a peer, to be changed as facts come in.
    pub fn link_mut(&mut self, peer: NodeId) -> &mut Link {
        self.settled = false;
        self.links.get_or_insert_with(peer, Link::default)
    }

    /// The state of the link with a peer; all false when there is none.
    pub fn link(&self, peer: NodeId) -> Link {
        self.links.get(&peer).copied().unwrap_or_default()
    }

    /// The link with a peer is gone.
    pub fn forget(&mut self, peer: NodeId) {
        self.settled &= self.links.remove(&peer).is_none();
    }

    /// Who feeds this node.
    pub fn feeders(&self) -> impl Iterator<Item = NodeId> {
        self.links.iter().filter(|(_, link)| link.feeds_me).map(|(peer, _)| *peer)
    }

    /// Whom this node feeds.
    pub fn fed(&self) -> impl Iterator<Item = NodeId> {
        self.links.iter().filter(|(_, link)| link.fed_by_me).map(|(peer, _)| *peer)
    }

    /// Whether a want of this peer may be answered now.
    pub fn may_feed(&self, peer: NodeId) -> bool {
        let assigned = self.assignment.children.iter().find(|edge| edge.peer == peer);
        match assigned {
            Some(edge) if self.link(peer).fed_by_me || self.holds(edge.when) => true,
            _ => self.rescues(peer),
        }
    }

    /// Whether this peer may ask for pieces in need: its backup or standby is here.
    pub fn rescues(&self, peer: NodeId) -> bool {
        self.assignment.backs.iter().chain(&self.assignment.standby).any(|edge| edge.peer == peer)
    }

    /// Nodes that are helped although the assignment says so no more: the owner of the clock ends that after a while.
    pub fn lingering(&self) -> impl Iterator<Item = NodeId> {
        self.lingering.keys().copied()
    }

    /// No more help for this peer than the assignment says.
    pub fn end_lingering(&mut self, peer: NodeId) {
        self.settled &= self.lingering.remove(&peer).is_none();
    }

    /// Whether this peer is a parent, asked or to be asked.
    pub fn is_parent(&self, peer: NodeId) -> bool {
        self.assignment.parents.iter().any(|edge| edge.peer == peer)
    }

    /// Whether this peer is an assigned child that this node may feed as a matter of course.
    pub fn is_child(&self, peer: NodeId) -> bool {
        self.assignment.children.iter().any(|edge| edge.peer == peer)
    }

    /// Whether this peer lives on this node's word: a child, or a node that it backs up or is backed up by.
    pub fn depends(&self, peer: NodeId) -> bool {
        let assignment = &self.assignment;
        let mut edges = assignment.children.iter().chain(&assignment.backs).chain(&assignment.backup);
        edges.any(|edge| edge.peer == peer)
    }

    /// Whether this node lives on this peer's word: a parent, or its backup.
    pub fn relies_on(&self, peer: NodeId) -> bool {
        self.assignment.parents.iter().chain(&self.assignment.backup).any(|edge| edge.peer == peer)
    }

    /// Whether this peer is the one that steps in first.
    pub fn is_backup(&self, peer: NodeId) -> bool {
        self.assignment.backup.is_some_and(|edge| edge.peer == peer)
    }

    /// Those who may be asked when no parent feeds, best first.
    pub fn helpers(&self) -> impl Iterator<Item = NodeId> {
        self.assignment.backup.iter().chain(&self.assignment.standby).map(|edge| edge.peer)
    }

    /// The next step towards the assignment, if any is left. Steps are carried out by the node, which tells the facts
    /// back through [`Self::link_mut`].
    pub fn step(&mut self) -> Option<Action> {
        if self.settled {
            return None;
        }
        let step = self.connect();
        let step = step.or_else(|| self.want()).or_else(|| self.release());
        let step = step.or_else(|| self.drop()).or_else(|| self.close());
        self.settled = step.is_none();
        step
    }

    fn holds(&self, when: When) -> bool {
        match when {
            When::Now => true,
            When::ReleasedBy(peer) => !self.link(peer).fed_by_me,
            When::FedBy(peer) => self.link(peer).feeds_me,
        }
    }

    fn connect(&self) -> Option<Action> {
        self.peers.iter().find(|peer| !self.links.contains_key(peer)).map(|peer| Action::Connect(*peer))
    }

    fn want(&self) -> Option<Action> {
        let due = |edge: &&Edge| {
            let link = self.link(edge.peer);
            link.open && !link.wanted && self.holds(edge.when)
        };
        self.assignment.parents.iter().find(due).map(|edge| Action::Want(edge.peer))
    }

    /// An old parent is let go once a new one feeds.
    fn release(&self) -> Option<Action> {
        let new_feeds = self.assignment.parents.iter().any(|edge| self.link(edge.peer).feeds_me);
        let old = |(peer, link): &(&NodeId, &Link)| {
            link.wanted && !self.is_parent(**peer) && !self.helpers().any(|helper| helper == **peer)
        };
        self.links.iter().find(|entry| new_feeds && old(entry)).map(|(peer, _)| Action::Release(*peer))
    }

    fn drop(&self) -> Option<Action> {
        let stale = |(peer, link): &(&NodeId, &Link)| {
            let child = self.assignment.children.iter().any(|edge| edge.peer == **peer);
            link.fed_by_me && !child && !self.rescues(**peer) && !self.lingering.contains_key(peer)
        };
        self.links.iter().find(stale).map(|(peer, _)| Action::Drop(*peer))
    }

    fn close(&self) -> Option<Action> {
        let idle = |(peer, link): &(&NodeId, &Link)| {
            link.open && !self.names(**peer) && !link.wanted && !link.feeds_me && !link.fed_by_me
        };
        self.links.iter().find(idle).map(|(peer, _)| Action::Close(*peer))
    }
}
