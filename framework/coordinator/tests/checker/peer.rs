//! A node: the real reconciler, and as much of the data plane as it looks at.

use std::collections::BTreeSet;

use peerstream_coordinator::ConnId;
use peerstream_node::reconciler::Reconciler;
use peerstream_protocol::control::{LinkReport, Report};
use peerstream_protocol::id::{NodeId, Session};

/// What nodes say to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Frame {
    Want,
    Unwant,
    Refused,
}

/// What a report says: the version in force and the open links.
pub type Said = (u64, Vec<LinkReport>);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Peer {
    pub conn: Option<ConnId>,
    pub session: Session,
    pub reconciler: Reconciler,
    /// Whose wants wait. A real node refuses them after two seconds and is asked again half a second later.
    pub held: BTreeSet<NodeId>,
    /// Parents that have refused; they are asked again.
    pub refused: BTreeSet<NodeId>,
    /// What was reported last, until it is time to report again.
    pub said: Option<Said>,
}

impl Peer {
    pub fn new(conn: ConnId, session: Session) -> Self {
        let reconciler = Reconciler::default();
        Self { conn: Some(conn), session, reconciler, held: BTreeSet::new(), refused: BTreeSet::new(), said: None }
    }

    pub fn says(&self, others: impl Iterator<Item = NodeId>) -> Said {
        let links = others.filter_map(|peer| {
            let link = self.reconciler.link(peer);
            let (feeds_me, fed_by_me) = (link.feeds_me, link.fed_by_me);
            link.open.then_some(LinkReport { peer, open: true, feeds_me, fed_by_me, rtt_ms: 0 })
        });
        (self.reconciler.assignment().version, links.collect())
    }

    pub fn report(&self, said: &Said) -> Report {
        let term = self.reconciler.assignment().term;
        Report { term, version: said.0, links: said.1.clone(), ..Report::default() }
    }

    /// The link with a peer is gone. True when the node has to wonder whether the peer is.
    pub fn on_link_gone(&mut self, peer: NodeId) -> bool {
        let was_open = self.reconciler.link(peer).open;
        self.reconciler.forget(peer);
        self.held.remove(&peer);
        self.refused.remove(&peer);
        was_open && self.reconciler.names(peer)
    }
}
