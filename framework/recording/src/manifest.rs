//! What a recording says that it holds.

use peerstream_protocol::id::Seq;
use serde::{Deserialize, Serialize};

/// What a recording holds when it ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The first segment's number.
    pub first: Seq,
    /// The number after the last segment's.
    pub end: Seq,
    /// Ranges of numbers that are missing, `first` included and `end` not.
    pub gaps: Vec<(Seq, Seq)>,
    /// Whether the broadcast has ended; else the recording goes on another time.
    pub ended: bool,
}

/// Gaps that a manifest names, at most; beyond it those that are closest to each other count as one.
pub const GAPS_MAX: usize = 4_096;

impl Manifest {
    /// Whether a number is in a gap that is named.
    pub fn names(&self, seq: Seq) -> bool {
        let at = self.gaps.partition_point(|(first, _)| *first <= seq);
        at.checked_sub(1).is_some_and(|at| seq < self.gaps[at].1)
    }
}
