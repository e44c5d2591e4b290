//! Who takes part: names, sessions, what each last said.

use peerstream_overlay::maybe::Maybe;
use peerstream_protocol::control::{Figures, Role};
use peerstream_protocol::id::{NodeId, Session, Term};
use peerstream_protocol::time::Micros;

use crate::io::ConnId;
use crate::limits::Bucket;
use crate::links::Links;
use crate::past::Offer;
use crate::performance::Service;
use crate::verdicts::Suspicion;

/// Bytes of a ticket's tag.
const TAG_BYTES: usize = 16;

/// A node the coordinator knows. It outlives its connection.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    pub(crate) role: Role,
    pub(crate) conn: Maybe<ConnId>,
    /// Since when this coordinator knows it.
    pub(crate) met_at: Micros,
    /// The last message of any sort.
    pub(crate) heard: Micros,
    /// When its connection ended, while it has none.
    pub(crate) lost_at: Maybe<Micros>,
    /// It was named by others after a change of coordinators and has not come back itself.
    pub(crate) placeholder: bool,
    /// Somebody else than its parent feeds it.
    pub(crate) rescued: bool,
    /// When another node last reported an open link to it.
    pub(crate) seen_open: Maybe<Micros>,
    pub(crate) suspicion: Option<Box<Suspicion>>,
    pub(crate) signals: Bucket,
    pub(crate) links: Links,
    /// What it gives out of the past.
    pub(crate) offer: Option<Box<Offer>>,
    pub(crate) figures: Figures,
    pub(crate) service: Service,
}

impl Member {
    pub(crate) fn new(role: Role, signals: Bucket, now: Micros) -> Self {
        Self {
            role,
            conn: Maybe::default(),
            met_at: now,
            heard: now,
            lost_at: Maybe::default(),
            placeholder: false,
            rescued: false,
            seen_open: Maybe::default(),
            suspicion: None,
            signals,
            links: Links::default(),
            offer: None,
            figures: Figures::default(),
            service: Service::default(),
        }
    }
}

/// A control connection.
#[derive(Clone, Debug)]
pub(crate) struct Conn {
    /// From this very process; free of the limits.
    pub(crate) trusted: bool,
    pub(crate) opened_at: Micros,
    /// Whose it is, once greeted.
    pub(crate) node: Maybe<NodeId>,
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

    /// An adopted node has this name: no other shall read the same.
    pub(crate) fn skip(&mut self, node: NodeId) {
        self.last = self.last.max((node.0 & u64::from(u32::MAX)) as u32);
    }

    /// What proves that a node has that name.
    pub(crate) fn session(&self, node: NodeId) -> Session {
        let tag = blake3::keyed_hash(&self.secret, &node.0.to_le_bytes());
        Session(std::array::from_fn(|i| tag.as_bytes()[i]))
    }

    /// The same number for addresses of one network, an IPv4 /24 or an IPv6 /48, which says nothing else; never 0.
    pub(crate) fn network(&self, address: [u8; 16]) -> u64 {
        let mapped = address[..12] == [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff];
        let prefix = &address[..if mapped { 15 } else { 6 }];
        let tag = blake3::keyed_hash(&self.secret, &[b"network".as_slice(), prefix].concat());
        u64::from_le_bytes(std::array::from_fn(|i| tag.as_bytes()[i])).max(1)
    }

    /// Whether an earlier coordinator gave that name.
    pub(crate) fn is_earlier(&self, node: NodeId) -> bool {
        (1..self.term.0).contains(&(node.0 >> 32))
    }

    /// What proves to this and later coordinators when the node joined, microseconds since 1970.
    pub(crate) fn ticket(&self, node: NodeId, joined_at: Micros) -> Vec<u8> {
        let tag = self.ticket_tag(node, joined_at);
        [joined_at.0.to_le_bytes().as_slice(), &tag].concat()
    }

    /// What a ticket proves, if it is genuine and the node's.
    pub(crate) fn joined_at(&self, node: NodeId, ticket: &[u8]) -> Option<Micros> {
        let (joined_at, tag) = ticket.split_first_chunk::<8>()?;
        let joined_at = Micros(u64::from_le_bytes(*joined_at));
        (tag.len() == TAG_BYTES && differing(&self.ticket_tag(node, joined_at), tag) == 0).then_some(joined_at)
    }

    fn ticket_tag(&self, node: NodeId, joined_at: Micros) -> [u8; TAG_BYTES] {
        let claim = [b"age".as_slice(), &node.0.to_le_bytes(), &joined_at.0.to_le_bytes()].concat();
        let tag = blake3::keyed_hash(&self.secret, &claim);
        std::array::from_fn(|i| tag.as_bytes()[i])
    }

    /// Whether the token is the node's; compared without telling by the time it takes how much was right.
    pub(crate) fn is_session_of(&self, node: NodeId, session: Session) -> bool {
        differing(&self.session(node).0, &session.0) == 0
    }
}

/// The bits in which two tags of one length differ.
fn differing(right: &[u8], given: &[u8]) -> u8 {
    right.iter().zip(given).fold(0, |all, (right, given)| all | (right ^ given))
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

    #[test]
    fn addresses_of_one_network_have_the_same_number() {
        let names = Names::new(Term(3), [1; 32]);
        let v4 = |c, d| std::net::Ipv4Addr::new(203, 0, c, d).to_ipv6_mapped().octets();
        let v6 = |third: u16| std::net::Ipv6Addr::new(0x2001, 0xdb8, third, 0, 0, 0, 0, 1).octets();
        assert_eq!(names.network(v4(113, 1)), names.network(v4(113, 200)));
        assert_ne!(names.network(v4(113, 1)), names.network(v4(114, 1)));
        assert_ne!(names.network(v6(1)), names.network(v6(2)));
        assert_ne!(names.network(v4(113, 1)), Names::new(Term(3), [2; 32]).network(v4(113, 1)));
    }

    #[test]
    fn an_age_ticket_is_good_for_one_name_and_one_moment_under_any_term_of_the_secret() {
        let names = Names::new(Term(3), [1; 32]);
        let (node, joined_at) = (NodeId((3 << 32) | 1), Micros(77));
        let ticket = names.ticket(node, joined_at);
        assert_eq!(Names::new(Term(4), [1; 32]).joined_at(node, &ticket), Some(joined_at));
        assert_eq!(Names::new(Term(4), [2; 32]).joined_at(node, &ticket), None);
        assert_eq!(names.joined_at(NodeId((3 << 32) | 2), &ticket), None);
        for byte in 0..ticket.len() {
            let mut forged = ticket.clone();
            forged[byte] ^= 1;
            assert_eq!(names.joined_at(node, &forged), None, "byte {byte}");
        }
        assert_eq!(names.joined_at(node, &ticket[..23]), None);
        assert_eq!(names.joined_at(node, &[]), None);
    }
}
