//! Parts of a stream that are withheld: nobody plays them or gives them out.

use serde::{Deserialize, Serialize};

use crate::DecodeError;
use crate::id::Seq;

/// At most this many separate ranges of a broadcast are withheld.
pub const RANGES_MAX: usize = 1024;

/// There are [`RANGES_MAX`] ranges already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("as many parts of this broadcast are withheld as can be")]
pub struct TooMany;

/// Ranges of segment numbers, the first included and the last not; in order, apart from each other, none of them empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Withheld(Vec<(Seq, Seq)>);

impl Withheld {
    /// Whether nothing is withheld.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The ranges, in order.
    pub fn ranges(&self) -> &[(Seq, Seq)] {
        &self.0
    }

    /// Whether a segment is withheld.
    pub fn has(&self, seq: Seq) -> bool {
        let at = self.0.partition_point(|(_, end)| *end <= seq);
        self.0.get(at).is_some_and(|(first, _)| *first <= seq)
    }

    /// Withholds `first` up to, not including, `end`. Nothing changes when there is no room.
    pub fn withhold(&mut self, first: Seq, end: Seq) -> Result<(), TooMany> {
        if first >= end {
            return Ok(());
        }
        let mut whole = (first, end);
        let mut ranges = Vec::with_capacity(self.0.len() + 1);
        for range in &self.0 {
            match range.1 < whole.0 || whole.1 < range.0 {
                true => ranges.push(*range),
                false => whole = (whole.0.min(range.0), whole.1.max(range.1)),
            }
        }
        ranges.insert(ranges.partition_point(|range| range.0 < whole.0), whole);
        self.replace(ranges)
    }

    /// Gives `first` up to, not including, `end` out again. Nothing changes when there is no room for the parts that are left.
    pub fn restore(&mut self, first: Seq, end: Seq) -> Result<(), TooMany> {
        let left = |(from, to): &(Seq, Seq)| [(*from, first.min(*to)), (end.max(*from), *to)];
        let ranges = self.0.iter().flat_map(|range| match first < end {
            true => left(range),
            false => [*range, (range.1, range.1)],
        });
        self.replace(ranges.filter(|(from, to)| from < to).collect())
    }

    fn replace(&mut self, ranges: Vec<(Seq, Seq)>) -> Result<(), TooMany> {
        if ranges.len() > RANGES_MAX {
            return Err(TooMany);
        }
        self.0 = ranges;
        Ok(())
    }

    /// Whether what came from elsewhere is what a value of ours is.
    pub(crate) fn check(&self) -> Result<(), DecodeError> {
        if self.0.len() > RANGES_MAX {
            return Err(DecodeError::TooLarge);
        }
        let ordered = self.0.windows(2).all(|pair| pair[0].1 < pair[1].0);
        let filled = self.0.iter().all(|(first, end)| first < end);
        if ordered && filled { Ok(()) } else { Err(DecodeError::Malformed) }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn ranges_are_what_a_set_of_numbers_is(steps in prop::collection::vec((any::<bool>(), 0_u64..40, 0_u64..40), 0..40)) {
            let (mut withheld, mut set) = (Withheld::default(), BTreeSet::new());
            for (withhold, first, end) in steps {
                let change = if withhold { Withheld::withhold } else { Withheld::restore };
                prop_assert!(change(&mut withheld, Seq(first), Seq(end)).is_ok());
                for seq in first..end {
                    if withhold { set.insert(seq) } else { set.remove(&seq) };
                }
                prop_assert_eq!(withheld.check(), Ok(()));
                for seq in 0..42 {
                    prop_assert_eq!(withheld.has(Seq(seq)), set.contains(&seq), "{} in {:?}", seq, withheld);
                }
            }
        }
    }

    #[test]
    fn there_is_a_bound() {
        let mut withheld = Withheld::default();
        for at in 0..RANGES_MAX as u64 {
            withheld.withhold(Seq(at * 3), Seq(at * 3 + 2)).unwrap();
        }
        let before = withheld.clone();
        assert_eq!(withheld.withhold(Seq(9_999), Seq(10_000)), Err(TooMany));
        assert_eq!(withheld, before);
        withheld.withhold(Seq(0), Seq(9_999)).unwrap();
        assert_eq!(withheld.ranges(), [(Seq(0), Seq(9_999))]);
    }
}
