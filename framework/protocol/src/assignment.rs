//! What is asked of a node: the edges it shall have.
//!
//! | part of an edge | on the wire |
//! |---|---|
//! | peer, counter half | LEB128 of twice the number, one more if the last two parts follow |
//! | peer, term half | LEB128 |
//! | shape | 1 byte: the condition (0 now, 1 released by, 2 fed by), 4 more if stripes follow |
//! | stripes, the condition's node | 1 byte; two LEB128 numbers |
//!
//! Nearly every edge is the whole stream, at once, and takes four bytes.

use serde::de::{Error, SeqAccess, Visitor};
use serde::ser::SerializeTuple;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::id::{NodeId, Stripes, Term};

/// A node reports, and an assignment names, at most this many links.
pub const LINKS_MAX: usize = 64;

const STRIPES_FOLLOW: u8 = 4;

/// When an edge of an assignment comes into force. A predicate over present state, so no event is ever missed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum When {
    /// At once.
    Now,
    /// This node does not, or no longer, feed that one, for whatever reason.
    ReleasedBy(NodeId),
    /// That node feeds this one and has delivered a piece it did not have.
    FedBy(NodeId),
}

/// One entry of an assignment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Edge {
    /// The other node.
    pub peer: NodeId,
    /// What flows.
    pub stripes: Stripes,
    /// From when on.
    pub when: When,
}

impl Edge {
    /// The whole stream, at once.
    pub const fn now(peer: NodeId) -> Self {
        Self { peer, stripes: Stripes::ALL, when: When::Now }
    }
}

impl Serialize for Edge {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (counter, term) = self.peer.halves();
        let mut parts = serializer.serialize_tuple(EDGE_PARTS_MAX)?;
        let shape = self.shape();
        parts.serialize_element(&(u64::from(counter) << 1 | u64::from(shape != 0)))?;
        parts.serialize_element(&term)?;
        if shape != 0 {
            parts.serialize_element(&shape)?;
        }
        if shape & STRIPES_FOLLOW != 0 {
            parts.serialize_element(&self.stripes)?;
        }
        if let When::ReleasedBy(node) | When::FedBy(node) = self.when {
            parts.serialize_element(&node)?;
        }
        parts.end()
    }
}

impl Edge {
    /// What differs from the whole stream at once; nothing is 0.
    fn shape(&self) -> u8 {
        let when = match self.when {
            When::Now => 0,
            When::ReleasedBy(_) => 1,
            When::FedBy(_) => 2,
        };
        if self.stripes == Stripes::ALL { when } else { when | STRIPES_FOLLOW }
    }
}

/// Counter, term, shape, stripes, node.
const EDGE_PARTS_MAX: usize = 5;

impl<'de> Deserialize<'de> for Edge {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_tuple(EDGE_PARTS_MAX, EdgeVisitor)
    }
}

struct EdgeVisitor;

impl<'de> Visitor<'de> for EdgeVisitor {
    type Value = Edge;

    fn expecting(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("the parts of an edge")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<Edge, A::Error> {
        let head: u64 = next(&mut parts)?;
        let counter = u32::try_from(head >> 1).map_err(A::Error::custom)?;
        let mut edge = Edge::now(NodeId::from_halves(counter, next(&mut parts)?));
        if head & 1 == 0 {
            return Ok(edge);
        }
        let shape: u8 = next(&mut parts)?;
        if shape & STRIPES_FOLLOW != 0 {
            edge.stripes = next(&mut parts)?;
        }
        if !edge.stripes.is_some() {
            return Err(A::Error::custom("stripes that do not exist"));
        }
        edge.when = match shape & !STRIPES_FOLLOW {
            0 => When::Now,
            1 => When::ReleasedBy(next(&mut parts)?),
            2 => When::FedBy(next(&mut parts)?),
            _ => return Err(A::Error::custom("an unknown condition")),
        };
        Ok(edge)
    }
}

fn next<'de, T: Deserialize<'de>, A: SeqAccess<'de>>(parts: &mut A) -> Result<T, A::Error> {
    parts.next_element()?.ok_or_else(|| A::Error::custom("an edge that ends early"))
}

/// All that is asked of a node. A newer `(term, version)` replaces an older one whole.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Assignment {
    /// The coordinator's reign.
    pub term: Term,
    /// Grows with each assignment of this node.
    pub version: u64,
    /// Who feeds this node.
    pub parents: Vec<Edge>,
    /// Whom this node feeds.
    pub children: Vec<Edge>,
    /// Who feeds this node when its parent fails.
    pub backup: Option<Edge>,
    /// Whom this node feeds when their parent fails.
    pub backs: Vec<Edge>,
    /// Links kept open and unused; either end may ask over them in need.
    pub standby: Vec<Edge>,
}

impl Assignment {
    /// All peers named, in order, each once.
    #[inline]
    pub fn peers(&self) -> std::collections::BTreeSet<NodeId> {
        self.edges().map(|edge| edge.peer).collect()
    }

    pub(crate) fn edges(&self) -> impl Iterator<Item = &Edge> {
        self.parents.iter().chain(&self.children).chain(&self.backup).chain(&self.backs).chain(&self.standby)
    }
}

/// Lists of edges in an assignment: parents, children, backup (at most one edge), backs, standby.
const LISTS: usize = 5;

/// The edges of an assignment as they travel: written once, kept in few bytes, compared as bytes, sent as they are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct PackedEdges(Box<[u8]>);

impl PackedEdges {
    /// Everyone named in an edge, conditions aside; some twice.
    #[inline]
    pub fn peers(&self) -> impl Iterator<Item = NodeId> {
        let mut rest: &[u8] = &self.0;
        let (mut lists, mut edges) = (LISTS, 0);
        std::iter::from_fn(move || {
            while edges == 0 {
                lists = lists.checked_sub(1)?;
                edges = take(&mut rest)?;
            }
            edges -= 1;
            let (head, term) = (take(&mut rest)?, take(&mut rest)?);
            if head & 1 != 0 {
                skip_details(&mut rest)?;
            }
            Some(NodeId::from_halves((head >> 1) as u32, term as u32))
        })
    }

    /// Whether an edge names that node, conditions aside.
    pub fn names(&self, node: NodeId) -> bool {
        self.peers().any(|peer| peer == node)
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

fn skip_details(rest: &mut &[u8]) -> Option<()> {
    let (shape, more) = rest.split_first()?;
    *rest = if shape & STRIPES_FOLLOW == 0 { more } else { more.get(1..)? };
    if shape & !STRIPES_FOLLOW != 0 {
        take(rest)?;
        take(rest)?;
    }
    Some(())
}

/// The next LEB128 number.
#[inline]
fn take(rest: &mut &[u8]) -> Option<u64> {
    let (byte, more) = rest.split_first()?;
    *rest = more;
    let mut number = u64::from(*byte & 0x7f);
    if *byte < 0x80 {
        return Some(number);
    }
    for shift in (7..64).step_by(7) {
        let (byte, more) = rest.split_first()?;
        *rest = more;
        number |= u64::from(*byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

/// Bytes of a LEB128 number, at most.
const NUMBER_BYTES_MAX: usize = 10;

/// Writes a LEB128 number.
#[inline]
pub(crate) fn put(bytes: &mut Vec<u8>, mut number: u64) {
    if number < 0x80 {
        return bytes.push(number as u8);
    }
    let mut digits = [0; NUMBER_BYTES_MAX];
    let mut count = 0;
    while number >= 0x80 {
        digits[count] = number as u8 | 0x80;
        number >>= 7;
        count += 1;
    }
    digits[count] = number as u8;
    bytes.extend_from_slice(&digits[..=count]);
}

/// Writes [`PackedEdges`], again and again in the same memory.
#[derive(Clone, Debug, Default)]
pub struct EdgePacker {
    bytes: Vec<u8>,
    lists: usize,
}

impl EdgePacker {
    /// Begins anew.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.lists = 0;
    }

    /// Writes the next list, in the order of [`Assignment`]'s fields; the third has at most one edge.
    pub fn list(&mut self, edges: impl Iterator<Item = Edge>) {
        let at = self.bytes.len();
        self.bytes.push(0);
        for edge in edges {
            self.bytes[at] += 1;
            self.edge(&edge);
        }
        assert!(usize::from(self.bytes[at]) <= LINKS_MAX, "an assignment has at most {LINKS_MAX} edges");
        self.lists += 1;
    }

    /// Whether these are the edges written.
    pub fn says(&self, packed: &PackedEdges) -> bool {
        *self.bytes == *packed.0
    }

    /// The edges written.
    pub fn packed(&self) -> PackedEdges {
        assert_eq!(self.lists, LISTS, "every list of the assignment was written");
        PackedEdges(self.bytes.as_slice().into())
    }

    fn edge(&mut self, edge: &Edge) {
        let (counter, term) = edge.peer.halves();
        let shape = edge.shape();
        put(&mut self.bytes, u64::from(counter) << 1 | u64::from(shape != 0));
        put(&mut self.bytes, u64::from(term));
        if shape != 0 {
            self.bytes.push(shape);
        }
        if shape & STRIPES_FOLLOW != 0 {
            self.bytes.push(edge.stripes.0);
        }
        if let When::ReleasedBy(node) | When::FedBy(node) = edge.when {
            let (counter, term) = node.halves();
            put(&mut self.bytes, u64::from(counter));
            put(&mut self.bytes, u64::from(term));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::Down;

    fn edge(counter: u32, stripes: u8, when: When) -> Edge {
        Edge { peer: NodeId::from_halves(counter, 3), stripes: Stripes(stripes), when }
    }

    fn assignment() -> Assignment {
        let node = NodeId::from_halves(70_000, 3);
        Assignment {
            term: Term(3),
            version: 300,
            parents: vec![Edge::now(NodeId::SOURCE)],
            children: vec![edge(u32::MAX, 3, When::ReleasedBy(node)), edge(70_000, 1, When::FedBy(node))],
            backup: Some(edge(5, 2, When::Now)),
            backs: Vec::new(),
            standby: (1..40).map(|n| Edge::now(NodeId::from_halves(n, 3))).collect(),
        }
    }

    fn packed(assignment: &Assignment) -> PackedEdges {
        let Assignment { parents, children, backup, backs, standby, .. } = assignment;
        let mut packer = EdgePacker::default();
        packer.list(parents.iter().copied());
        packer.list(children.iter().copied());
        packer.list(backup.iter().copied());
        packer.list(backs.iter().copied());
        packer.list(standby.iter().copied());
        packer.packed()
    }

    #[test]
    fn packed_edges_are_those_of_the_assignment_and_know_its_peers() {
        let whole = assignment();
        let packed = packed(&whole);
        assert_eq!(packed.message(whole.term, whole.version), Down::Assign(whole.clone()).encode());
        assert!(packed.peers().eq(whole.edges().map(|edge| edge.peer)));
        assert_eq!(PackedEdges::default().peers().next(), None);
    }

    #[test]
    fn an_edge_of_the_whole_stream_at_once_takes_four_bytes_up_to_a_million_nodes() {
        let bytes = postcard::to_allocvec(&edge(1_000_000, Stripes::ALL.0, When::Now)).unwrap();
        assert_eq!(bytes.len(), 4);
        assert_eq!(postcard::from_bytes::<Edge>(&bytes).unwrap(), edge(1_000_000, Stripes::ALL.0, When::Now));
    }

    #[test]
    fn impossible_edges_are_refused() {
        for bytes in [
            &[0x80, 0x80, 0x80, 0x80, 0x20, 1][..],
            &[1, 0, 3],
            &[1, 0],
            &[1, 0, 4],
            &[1, 0, 4, 0],
            &[1, 0, 4, 4],
            &[0],
        ] {
            assert!(postcard::from_bytes::<Edge>(bytes).is_err(), "{bytes:?}");
        }
    }
}
