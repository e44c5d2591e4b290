//! What is done about a notice, and what of it is undone again.

use serde::{Deserialize, Serialize};

/// One decision has no more done.
pub const ACTIONS_MAX: usize = 16;

/// Something that the host does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "action", deny_unknown_fields)]
pub enum Action {
    /// Ends the live stream. A new broadcast is not kept from beginning.
    StopStream,
    /// Withholds a part of the broadcast: archives keep it and do not give it out, viewers drop it.
    HideRange {
        /// From here, milliseconds since the start of the broadcast.
        from_ms: u64,
        /// To here, not included.
        to_ms: u64,
    },
    /// Tells the streamer, on the dashboard and by mail where that is set up.
    NotifyPublisher,
    /// Counts against the streamer.
    Strike,
    /// Undoes what was done in the case so far.
    Restore,
}

impl Action {
    /// Its word in interfaces.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::StopStream => "stop-stream",
            Self::HideRange { .. } => "hide-range",
            Self::NotifyPublisher => "notify-publisher",
            Self::Strike => "strike",
            Self::Restore => "restore",
        }
    }

    /// Whether there is something to undo: who was told cannot be untold, and a stream that was stopped begins again by itself.
    pub const fn can_be_undone(&self) -> bool {
        matches!(self, Self::HideRange { .. } | Self::Strike)
    }
}

/// A part of a recording, by segment numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Segments {
    /// The first one's number.
    pub first: u64,
    /// The number after the last one's.
    pub end: u64,
}

impl Segments {
    /// Whether both have a segment in common.
    pub fn overlaps(self, other: Self) -> bool {
        self.first < other.end && other.first < self.end
    }

    /// What of it none of the others covers: what may be shown again when other cases still hide their parts.
    pub fn without(self, others: &[Self]) -> Vec<Self> {
        let mut others: Vec<_> = others.iter().copied().filter(|other| self.overlaps(*other)).collect();
        others.sort_unstable();
        let (mut left, mut first) = (Vec::new(), self.first);
        for other in others {
            if first < other.first {
                left.push(Self { first, end: other.first });
            }
            first = first.max(other.end);
        }
        if first < self.end {
            left.push(Self { first, end: self.end });
        }
        left
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_left_is_exactly_what_nobody_else_covers(
            first in 0_u64..40,
            length in 1_u64..40,
            others in prop::collection::vec((0_u64..80, 1_u64..30), 0..6),
        ) {
            let all = Segments { first, end: first + length };
            let others: Vec<_> = others.into_iter().map(|(first, length)| Segments { first, end: first + length }).collect();
            let holds = |ranges: &[Segments], seq: u64| ranges.iter().any(|range| (range.first..range.end).contains(&seq));
            let left = all.without(&others);
            for seq in 0..120 {
                prop_assert_eq!(holds(&left, seq), holds(&[all], seq) && !holds(&others, seq));
            }
        }
    }
}
