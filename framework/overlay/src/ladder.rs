//! The trait of those who decide what becomes of nodes that cannot keep up when too many cannot.

use peerstream_protocol::id::NodeId;
use peerstream_protocol::time::Micros;

/// What a ladder policy is told.
#[derive(Clone, Copy, Debug)]
pub struct Overload<'a> {
    /// Now, microseconds since 1970 on the coordinator's clock.
    pub now: Micros,
    /// Members without the source.
    pub members: usize,
    /// Members that do not get the stream as they should; more than half.
    pub struggling: usize,
    /// Those of them that feed nobody, youngest first; at most [`LEAVES_MAX`].
    pub leaves: &'a [NodeId],
}

/// A policy is told of at most this many leaves at once.
pub const LEAVES_MAX: usize = 10_000;

/// What becomes of a leaf.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rung {
    /// It is served as well as can be.
    Stay,
    /// It gets a rendition of lower bitrate; it is shed when there is none.
    Lower,
    /// It is turned away, and told why.
    Shed,
}

/// Decides what becomes of leaves that cannot keep up. Synchronous, deterministic and pure; asked once a second while more
/// than half of all nodes struggle.
pub trait LadderPolicy {
    /// The name used in configuration, in lower case with dashes.
    fn name(&self) -> &str;

    /// One answer for each leaf it has something to say about; the others stay.
    fn decide(&mut self, overload: &Overload<'_>) -> Vec<(NodeId, Rung)>;
}

/// Moves struggling leaves down, youngest first, a few at a time, so that the effect on the rest can be seen before the
/// next ones go.
#[derive(Clone, Debug, Default)]
pub struct InBatches {
    last: Option<Micros>,
}

impl InBatches {
    /// Time between two batches.
    pub const PAUSE: Micros = Micros::from_secs(5);
    /// A batch is this part of all members, in thousandths, and at least one.
    pub const PERMILLE: usize = 20;
}

impl LadderPolicy for InBatches {
    fn name(&self) -> &str {
        "in-batches"
    }

    fn decide(&mut self, overload: &Overload<'_>) -> Vec<(NodeId, Rung)> {
        if self.last.is_some_and(|last| overload.now.since(last) < Self::PAUSE) || overload.leaves.is_empty() {
            return Vec::new();
        }
        self.last = Some(overload.now);
        let batch = (overload.members * Self::PERMILLE / 1_000).max(1);
        overload.leaves.iter().take(batch).map(|leaf| (*leaf, Rung::Lower)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decide(policy: &mut InBatches, members: usize, seconds: u64) -> usize {
        let leaves: Vec<_> = (1..=members as u64).map(NodeId).collect();
        let now = Micros::from_secs(seconds);
        policy.decide(&Overload { now, members, struggling: members, leaves: &leaves }).len()
    }

    #[test]
    fn leaves_go_down_in_batches_of_two_percent_every_five_seconds() {
        let mut policy = InBatches::default();
        let sizes: Vec<_> = (100..112).map(|second| decide(&mut policy, 1_000, second)).collect();
        assert_eq!(sizes, [20, 0, 0, 0, 0, 20, 0, 0, 0, 0, 20, 0]);
    }

    #[test]
    fn a_small_audience_goes_down_one_by_one() {
        assert_eq!(decide(&mut InBatches::default(), 5, 1), 1);
    }
}
