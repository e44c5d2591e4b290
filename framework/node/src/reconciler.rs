//! Turns the assignment and the state of the links into actions, make before break.
//!
//! A small value without a clock, so that a model checker can run it. Conditions are predicates over present state;
//! a newer assignment replaces an older one whole, which is what command folding comes to.

use peerstream_protocol::control::{Assignment, Edge, When};
use peerstream_protocol::id::{NodeId, Stripes};

use crate::few::Few;

/// What the reconciler knows of a link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Link {
    /// Both lanes are open.
    pub open: bool,
    /// The stripes this node has asked it for and not taken back.
    pub wanted: Stripes,
    /// The stripes in which it feeds this node and has delivered a piece this node did not have.
    pub feeds_me: Stripes,
    /// The stripes in which this node feeds it.
    pub fed_by_me: Stripes,
}

impl Link {
    /// What was asked of it has ended.
    pub fn end_feed(&mut self, stripes: Stripes) {
        (self.wanted, self.feeds_me) = (self.wanted.without(stripes), self.feeds_me.without(stripes));
    }
}

/// One step towards the assignment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Set up a link.
    Connect(NodeId),
    /// Ask for a feed of these stripes.
    Want(NodeId, Stripes),
    /// Take the want of these stripes back.
    Release(NodeId, Stripes),
    /// Stop feeding a node these stripes, which the assignment does not say any more.
    Drop(NodeId, Stripes),
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
    /// Nodes that a link is kept with for the sake of the past, whatever the assignment says.
    guests: Few<NodeId, ()>,
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
        let helped =
            |peer: &NodeId| !self.link(*peer).fed_by_me.without(self.of_child(*peer)).is_empty() && self.rescues(*peer);
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
        self.links.iter().filter(|(_, link)| !link.feeds_me.is_empty()).map(|(peer, _)| *peer)
    }

    /// Whom this node feeds.
    pub fn fed(&self) -> impl Iterator<Item = NodeId> {
        self.links.iter().filter(|(_, link)| !link.fed_by_me.is_empty()).map(|(peer, _)| *peer)
    }

    /// How many stripes this node sends in all; [`Stripes::COUNT`] of them are a copy.
    pub fn stripes_out(&self) -> usize {
        self.links.iter().map(|(_, link)| link.fed_by_me.count()).sum()
    }

    /// The stripes that come from one parent go together: one set for each parent, and one for those without.
    pub fn courses(&self) -> Vec<Stripes> {
        let mut rest = Stripes::ALL;
        let mut courses = Vec::new();
        for edge in &self.assignment.parents {
            let course = edge.stripes.and(rest);
            rest = rest.without(course);
            courses.extend((!course.is_empty()).then_some(course));
        }
        courses.extend((!rest.is_empty()).then_some(rest));
        courses
    }

    /// Whether a want of these stripes may be answered now.
    pub fn may_feed(&self, peer: NodeId, stripes: Stripes) -> bool {
        if self.rescues(peer) {
            return true;
        }
        let fed = self.link(peer).fed_by_me;
        let edges = self.assignment.children.iter().filter(|edge| edge.peer == peer);
        let may = edges.filter(|edge| fed.meets(edge.stripes) || self.holds(edge.when));
        may.fold(Stripes::NONE, |all, edge| all.with(edge.stripes)).contains(stripes)
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

    /// A link with this peer is not closed although the assignment does not name it.
    pub fn invite(&mut self, peer: NodeId) {
        self.settled = false;
        self.guests.insert(peer, ());
    }

    /// It may be closed.
    pub fn dismiss(&mut self, peer: NodeId) {
        self.settled &= self.guests.remove(&peer).is_none();
    }

    /// Whether a link with this peer is kept for the sake of the past.
    pub fn is_guest(&self, peer: NodeId) -> bool {
        self.guests.contains_key(&peer)
    }

    /// Whether this peer is a parent, asked or to be asked, of any stripe.
    pub fn is_parent(&self, peer: NodeId) -> bool {
        self.assignment.parents.iter().any(|edge| edge.peer == peer)
    }

    /// Whether this peer is the parent of any of these stripes.
    pub fn is_parent_of(&self, peer: NodeId, stripes: Stripes) -> bool {
        self.of_parent(peer).meets(stripes)
    }

    /// The stripes that this peer is the parent of.
    pub fn of_parent(&self, peer: NodeId) -> Stripes {
        stripes_of(&self.assignment.parents, peer)
    }

    /// Whether this peer is an assigned child that this node may feed as a matter of course.
    pub fn is_child(&self, peer: NodeId) -> bool {
        self.assignment.children.iter().any(|edge| edge.peer == peer)
    }

    /// The stripes in which this peer is an assigned child.
    pub fn of_child(&self, peer: NodeId) -> Stripes {
        stripes_of(&self.assignment.children, peer)
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
            When::ReleasedBy(peer) => self.link(peer).fed_by_me.is_empty(),
            When::FedBy(peer) => !self.link(peer).feeds_me.is_empty(),
        }
    }

    fn connect(&self) -> Option<Action> {
        self.peers.iter().find(|peer| !self.links.contains_key(peer)).map(|peer| Action::Connect(*peer))
    }

    fn want(&self) -> Option<Action> {
        self.assignment.parents.iter().find_map(|edge| {
            let link = self.link(edge.peer);
            let due = edge.stripes.without(link.wanted);
            (link.open && !due.is_empty() && self.holds(edge.when)).then_some(Action::Want(edge.peer, due))
        })
    }

    /// An old parent is let go once a new one feeds.
    fn release(&self) -> Option<Action> {
        let parents = &self.assignment.parents;
        let feeds = |edge: &Edge| self.link(edge.peer).feeds_me.and(edge.stripes);
        let fed = parents.iter().fold(Stripes::NONE, |all, edge| all.with(feeds(edge)));
        self.links.iter().find_map(|(peer, link)| {
            let old = link.wanted.without(self.of_parent(*peer)).and(fed);
            let helps = self.helpers().any(|helper| helper == *peer);
            (!old.is_empty() && !helps).then_some(Action::Release(*peer, old))
        })
    }

    fn drop(&self) -> Option<Action> {
        self.links.iter().find_map(|(peer, link)| {
            let stale = link.fed_by_me.without(self.of_child(*peer));
            let helped = self.rescues(*peer) || self.lingering.contains_key(peer);
            (!stale.is_empty() && !helped).then_some(Action::Drop(*peer, stale))
        })
    }

    fn close(&self) -> Option<Action> {
        let idle = |(peer, link): &(&NodeId, &Link)| {
            let used = link.wanted.with(link.feeds_me).with(link.fed_by_me);
            link.open && !self.names(**peer) && !self.is_guest(**peer) && used.is_empty()
        };
        self.links.iter().find(idle).map(|(peer, _)| Action::Close(*peer))
    }
}

fn stripes_of(edges: &[Edge], peer: NodeId) -> Stripes {
    let of_peer = edges.iter().filter(|edge| edge.peer == peer);
    of_peer.fold(Stripes::NONE, |all, edge| all.with(edge.stripes))
}
