//! Who takes part: names, sessions, what each last said.

use peerstream_protocol::control::{Figures, LinkReport, Role};
use peerstream_protocol::id::{NodeId, Session, Term};
use peerstream_protocol::time::Micros;

use crate::io::{ConnId, Origin};
use crate::limits::Bucket;
use crate::verdicts::Suspicion;

/// A node the coordinator knows. It outlives its connection.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    pub(crate) role: Role,
    pub(crate) conn: Option<ConnId>,
    pub(crate) joined_at: Micros,
    /// The last message of any sort.
    pub(crate) heard: Micros,
    /// When its connection ended, while it has none.
    pub(crate) lost_at: Option<Micros>,
    /// When another node last reported an open link to it.
    pub(crate) seen_open: Option<Micros>,
    pub(crate) suspicion: Option<Suspicion>,
    pub(crate) signals: Bucket,
    pub(crate) links: Vec<LinkReport>,
    pub(crate) figures: Figures,
}

impl Member {
    pub(crate) fn new(role: Role, signals: Bucket, now: Micros) -> Self {
        Self {
            role,
            conn: None,
            joined_at: now,
            heard: now,
            lost_at: None,
            seen_open: None,
            suspicion: None,
            signals,
            links: Vec::new(),
            figures: Figures::default(),
        }
    }
}

/// A control connection.
#[derive(Clone, Debug)]
pub(crate) struct Conn {
    pub(crate) origin: Origin,
    pub(crate) opened_at: Micros,
    /// Whose it is, once greeted.
    pub(crate) node: Option<NodeId>,
    pub(crate) messages: Bucket,
    /// Messages dropped in a row.
    pub(crate) dropped: u32,
    pub(crate) malformed: u32,
}

/// Gives names, each once, and the tokens that go with them.
#[derive(Clone)]
pub(crate) struct Names {
    term: Term,
    secret: [u8; 32],
    last: u32,
}

impl std::fmt::Debug for Names {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Names({:?}, {})", self.term, self.last)
    }
}

impl Names {
    pub(crate) fn new(term: Term, secret: [u8; 32]) -> Self {
        Self { term, secret, last: 0 }
    }

    /// A name never given before; none when they have run out.
    pub(crate) fn next(&mut self) -> Option<NodeId> {
        self.last = self.last.checked_add(1)?;
        Some(NodeId((self.term.0 << 32) | u64::from(self.last)))
    }

    /// What proves that a node has that name.
    pub(crate) fn session(&self, node: NodeId) -> Session {
        let tag = blake3::keyed_hash(&self.secret, &node.0.to_le_bytes());
        Session(std::array::from_fn(|i| tag.as_bytes()[i]))
    }

    /// Whether the token is the node's; compared without telling by the time it takes how much was right.
    pub(crate) fn is_session_of(&self, node: NodeId, session: Session) -> bool {
        let right = self.session(node);
        let differing = right.0.iter().zip(session.0).fold(0, |all, (right, given)| all | (right ^ given));
        differing == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_belongs_to_one_name_under_one_secret() {
        let mut names = Names::new(Term(3), [1; 32]);
        let (a, b) = (names.next().unwrap(), names.next().unwrap());
        assert_eq!(a, NodeId((3 << 32) | 1));
        assert!(names.is_session_of(a, names.session(a)));
        assert!(!names.is_session_of(b, names.session(a)));
        assert!(!Names::new(Term(3), [2; 32]).is_session_of(a, names.session(a)));
    }
}
