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
    /// Members that do not get the stream as they should.
    pub struggling: usize,
    /// Members for whom there is no place, because all others together cannot feed them.
    pub unplaced: usize,
    /// Those concerned that feed nobody: first those without a place, then those that cannot relay, then the others that
    /// struggle; youngest first in each case. At most [`LEAVES_MAX`].
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
/// than half of all nodes struggle, or there are places for too few.
pub trait LadderPolicy {
    /// One answer for each leaf it has something to say about; the others stay.
    fn decide(&mut self, overload: &Overload<'_>) -> Vec<(NodeId, Rung)>;
}

/// Moves leaves down: at once as many as have no place, for what is missing is known; of those that struggle for whatever
/// reason a few at a time, so that the effect on the rest can be seen before the next ones go.
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
    fn decide(&mut self, overload: &Overload<'_>) -> Vec<(NodeId, Rung)> {
        let pauses = self.last.is_some_and(|last| overload.now.since(last) < Self::PAUSE);
        let batch = if overload.unplaced > 0 {
            overload.unplaced
        } else if pauses || overload.leaves.is_empty() {
            return Vec::new();
        } else {
            (overload.members * Self::PERMILLE / 1_000).max(1)
        };
        self.last = Some(overload.now);
        overload.leaves.iter().take(batch).map(|leaf| (*leaf, Rung::Lower)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decide(policy: &mut InBatches, members: usize, seconds: u64) -> usize {
        decide_with(policy, members, 0, seconds)
    }

    fn decide_with(policy: &mut InBatches, members: usize, unplaced: usize, seconds: u64) -> usize {
        let leaves: Vec<_> = (1..=members as u64).map(NodeId).collect();
        let now = Micros::from_secs(seconds);
        policy.decide(&Overload { now, members, struggling: members, unplaced, leaves: &leaves }).len()
    }

    #[test]
    fn leaves_go_down_in_batches_of_two_percent_every_five_seconds() {
        let mut policy = InBatches::default();
        let sizes: Vec<_> = (100..112).map(|second| decide(&mut policy, 1_000, second)).collect();
        assert_eq!(sizes, [20, 0, 0, 0, 0, 20, 0, 0, 0, 0, 20, 0]);
    }

    #[test]
    fn as_many_as_have_no_place_go_down_at_once() {
        let mut policy = InBatches::default();
        let sizes: Vec<_> = [(0, 100), (150, 101), (3, 102), (0, 103)]
            .map(|(unplaced, second)| decide_with(&mut policy, 1_000, unplaced, second))
            .into();
        assert_eq!(sizes, [20, 150, 3, 0]);
    }

    #[test]
    fn a_small_audience_goes_down_one_by_one() {
        assert_eq!(decide(&mut InBatches::default(), 5, 1), 1);
    }
}
