//! What a recording says that it holds.

use peerstream_protocol::id::Seq;
use serde::{Deserialize, Serialize};

/// What a recording holds when it ends.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The first segment's number.
    pub first: Seq,
    /// The number after the last segment's.
    pub end: Seq,
    /// Ranges of numbers that are missing, `first` included and `end` not.
    pub gaps: Vec<(Seq, Seq)>,
    /// Whether the broadcast has ended; else the recording goes on another time.
    pub ended: bool,
    /// Segments with which the broadcast went on after its host had been cut short: that is why a gap right before one is there.
    /// At most [`GAPS_MAX`]; later ones are not named.
    #[serde(default)]
    pub resumed: Vec<Seq>,
}

/// Gaps that a manifest names, at most; beyond it those that are closest to each other count as one.
pub const GAPS_MAX: usize = 4_096;

impl Manifest {
    /// The broadcast went on with this segment after its host had been cut short.
    pub fn resume(&mut self, seq: Seq) {
        if self.resumed.len() < GAPS_MAX && self.resumed.last().is_none_or(|last| *last < seq) {
            self.resumed.push(seq);
        }
    }

    /// Whether a number is in a gap that is named.
    pub fn names(&self, seq: Seq) -> bool {
        let at = self.gaps.partition_point(|(first, _)| *first <= seq);
        at.checked_sub(1).is_some_and(|at| seq < self.gaps[at].1)
    }
}
