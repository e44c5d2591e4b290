//! Names of things on the wire.

use core::fmt;

use serde::{Deserialize, Serialize};

/// A node of one stream's overlay: the coordinator's term in the upper half, a counter in the lower.
///
/// On the wire it is a number; in texts for people, such as JSON, it is its name (`n5`, `source`), because readers in
/// JavaScript cannot hold the number. It is never read back from such a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
pub struct NodeId(pub u64);

impl Serialize for NodeId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            return serializer.collect_str(self);
        }
        serializer.serialize_newtype_struct("NodeId", &self.0)
    }
}

impl NodeId {
    /// The source, which feeds the roots.
    pub const SOURCE: Self = Self(0);
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

/// A set of stripes as bits; stripe 0 alone is the whole stream until striping is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Stripes(pub u8);

impl Stripes {
    /// The whole stream.
    pub const ALL: Self = Self(1);
}

/// Proves to the coordinator that a reconnecting node is the one it was; independent of the socket.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Session(pub [u8; 16]);

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Session(..)")
    }
}
