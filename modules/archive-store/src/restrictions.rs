//! What is withheld of a recording.

use peerstream_sdk::traits::archive::{RestrictMode, Restriction};
use serde::{Deserialize, Serialize};

/// Ranges of each sort, at most; a request for more is refused.
const RANGES_MAX: usize = 65_536;

/// All restrictions of a recording, as ranges of numbers, the first included and the last not.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Restrictions {
    hidden: Vec<(u64, u64)>,
    erased: Vec<(u64, u64)>,
}

impl Restrictions {
    pub(crate) fn apply(&mut self, restriction: &Restriction) {
        let range = (restriction.first.0, restriction.end.0);
        match restriction.mode {
            RestrictMode::Hide => add(&mut self.hidden, range),
            RestrictMode::Show => remove(&mut self.hidden, range),
            RestrictMode::Erase => add(&mut self.erased, range),
        }
    }

    /// Whether one more can be taken in.
    pub(crate) fn has_room(&self) -> bool {
        self.hidden.len().max(self.erased.len()) < RANGES_MAX
    }

    pub(crate) fn withholds(&self, seq: u64) -> bool {
        covers(&self.hidden, seq) || self.has_erased(seq)
    }

    pub(crate) fn has_erased(&self, seq: u64) -> bool {
        covers(&self.erased, seq)
    }
}

/// Ranges are in order and apart.
fn covers(ranges: &[(u64, u64)], seq: u64) -> bool {
    let at = ranges.partition_point(|(first, _)| *first <= seq);
    at.checked_sub(1).is_some_and(|at| seq < ranges[at].1)
}

fn add(ranges: &mut Vec<(u64, u64)>, (mut first, mut end): (u64, u64)) {
    ranges.retain(|(from, to)| {
        let apart = *to < first || end < *from;
        if !apart {
            (first, end) = (first.min(*from), end.max(*to));
        }
        apart
    });
    ranges.push((first, end));
    ranges.sort_unstable();
}

fn remove(ranges: &mut Vec<(u64, u64)>, (first, end): (u64, u64)) {
    let left = ranges.iter().flat_map(|(from, to)| [(*from, (*to).min(first)), ((*from).max(end), *to)]);
    *ranges = left.filter(|(from, to)| from < to).collect();
}

#[cfg(test)]
mod tests {
    use peerstream_sdk::prelude::Seq;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_number_is_withheld_as_the_last_word_on_it_says(
            words in prop::collection::vec((0u64..40, 0u64..12, prop::bool::weighted(0.6)), 0..20),
        ) {
            let mut restrictions = Restrictions::default();
            let mut hidden = [false; 64];
            for (first, len, hide) in words {
                let mode = if hide { RestrictMode::Hide } else { RestrictMode::Show };
                restrictions.apply(&Restriction { first: Seq(first), end: Seq(first + len), mode });
                hidden[first as usize..(first + len) as usize].fill(hide);
            }
            for (seq, hidden) in hidden.iter().enumerate() {
                prop_assert_eq!(restrictions.withholds(seq as u64), *hidden);
            }
            prop_assert!(restrictions.hidden.windows(2).all(|pair| pair[0].1 <= pair[1].0));
        }
    }
}
