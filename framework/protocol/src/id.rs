//! Names of things on the wire.

use core::fmt;

use serde::{Deserialize, Serialize};

/// A node of one stream's overlay: the coordinator's term in the upper half, a counter in the lower.
///
/// On the wire it is two numbers, the counter first; in texts for people, such as JSON, it is its name (`n5`, `source`), because readers in
/// JavaScript cannot hold the number. It is never read back from such a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(pub u64);

impl Serialize for NodeId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            return serializer.collect_str(self);
        }
        self.halves().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for NodeId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (counter, term) = Deserialize::deserialize(deserializer)?;
        Ok(Self::from_halves(counter, term))
    }
}

impl NodeId {
    /// The source, which feeds the roots.
    pub const SOURCE: Self = Self(0);

    /// The counter and the term; both are small, so that they take three or four bytes on the wire.
    pub const fn halves(self) -> (u32, u32) {
        (self.0 as u32, (self.0 >> 32) as u32)
    }

    /// The opposite of [`Self::halves`].
    pub const fn from_halves(counter: u32, term: u32) -> Self {
        Self((term as u64) << 32 | counter as u64)
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::SOURCE {
            return f.write_str("source");
        }
        write!(f, "n{}", self.0 & 0xffff_ffff)
    }
}

/// One coordinator's reign; a higher term fences off a lower one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Term(pub u64);

/// One broadcast of a stream: milliseconds of the source's wall clock at its start, or one more than the last epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Epoch(pub u64);

/// One quality of a stream; each has an overlay of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Rendition(pub u8);

/// The number of a segment within its epoch and rendition; the first is 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Seq(pub u64);

impl Seq {
    /// The following segment.
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// A set of stripes as bits. Every stream is dealt to [`Stripes::COUNT`] of them by sequence; an edge that carries all of them
/// carries the whole stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Stripes(pub u8);

impl Stripes {
    /// How many there are.
    pub const COUNT: u8 = 2;
    /// The whole stream.
    pub const ALL: Self = Self((1 << Self::COUNT) - 1);
    /// Nothing.
    pub const NONE: Self = Self(0);

    /// The whole stream, or nothing.
    pub const fn all_if(whole: bool) -> Self {
        if whole { Self::ALL } else { Self::NONE }
    }

    /// Each stripe alone.
    pub fn each() -> impl DoubleEndedIterator<Item = Self> + Clone {
        (0..Self::COUNT).map(|at| Self(1 << at))
    }

    /// The stripe that this segment belongs to.
    pub const fn of(seq: Seq) -> Self {
        Self(1 << (seq.0 % Self::COUNT as u64))
    }

    /// How many of them are in the set.
    pub const fn count(self) -> usize {
        self.0.count_ones() as usize
    }

    /// Whether the set is empty.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether the set has a stripe, and none that does not exist.
    pub const fn is_some(self) -> bool {
        self.0 != 0 && Self::ALL.contains(self)
    }

    /// Whether all of these are in the set.
    pub const fn contains(self, others: Self) -> bool {
        others.0 & !self.0 == 0
    }

    /// Whether any of these is in the set.
    pub const fn meets(self, others: Self) -> bool {
        self.0 & others.0 != 0
    }

    /// Those that are in both sets.
    pub const fn and(self, others: Self) -> Self {
        Self(self.0 & others.0)
    }

    /// Those that are in either set.
    pub const fn with(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }

    /// The set without these.
    pub const fn without(self, others: Self) -> Self {
        Self(self.0 & !others.0)
    }
}

/// Proves to the coordinator that a reconnecting node is the one it was; independent of the socket.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Session(pub [u8; 16]);

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Session(..)")
    }
}
