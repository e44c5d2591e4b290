//! The two trees by name.

use peerstream_sdk::prelude::*;

/// One of the two trees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// The tree of the even segments.
    A,
    /// The tree of the odd ones.
    B,
}

impl Side {
    pub(crate) const BOTH: [Self; 2] = [Self::A, Self::B];

    pub(crate) fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }

    /// What flows in this tree.
    pub(crate) fn stripe(self) -> Stripes {
        Stripes(1 << self as u8)
    }

    pub(crate) fn letter(self) -> char {
        match self {
            Self::A => 'A',
            Self::B => 'B',
        }
    }
}
