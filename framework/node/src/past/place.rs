//! Where to begin when the viewer goes back.

use peerstream_protocol::crypto::Verifier;
use peerstream_protocol::header::Flags;
use peerstream_protocol::id::Seq;
use peerstream_protocol::time::Micros;

use crate::node::Node;

/// Join points, noted from the newest to the oldest, and the distance that all of them keep: a multiple of this.
#[derive(Clone, Copy, Debug, Default)]
struct JoinPoints {
    oldest: Option<Seq>,
    step: u64,
}

impl JoinPoints {
    fn note(&mut self, join: Seq) {
        let newer = self.oldest.replace(join).unwrap_or(join);
        // The greatest common divisor: one that is missing here does not change it.
        let (mut step, mut rest) = (newer.0 - join.0, self.step);
        while rest > 0 {
            (step, rest) = (rest, step % rest);
        }
        self.step = step;
    }

    /// The last join point up to this segment, which is older than all of them, if they have always kept their distance.
    fn before(&self, seq: Seq) -> Seq {
        let (Some(oldest), true) = (self.oldest, self.step > 0) else { return seq };
        let beyond = oldest.0.saturating_sub(seq.0) % self.step;
        Seq(seq.0.saturating_sub(if beyond > 0 { self.step - beyond } else { 0 }))
    }
}

impl<V: Verifier> Node<V> {
    /// The segment to begin with: the last join point that is here from before that time, else about so many segments ago, where a
    /// join point is likely to be. What comes before the first one shows nothing, and the picture waits for it.
    pub(super) fn seq_behind(&self, behind: Micros) -> Option<Seq> {
        let retained = self.window.from(self.window.first()).map(|(_, segment)| segment);
        let mut here = self.kept.iter().chain(retained.filter(|segment| segment.is_complete())).rev().peekable();
        let newest = here.peek()?.header.core.seq;
        let (mut reached, mut oldest, mut joins) = (Micros(0), newest, JoinPoints::default());
        while let Some(segment) = here.next_if(|_| reached < behind) {
            reached += Micros(segment.header.core.duration_us.into());
            oldest = segment.header.core.seq;
            // The end of a broadcast counts as a join point, wherever it comes.
            let is_join_point = segment.is_join_point() && !segment.header.core.flags.has(Flags::END);
            if is_join_point && reached >= behind {
                return Some(oldest);
            }
            if is_join_point {
                joins.note(oldest);
            }
        }
        if let Some(join) = here.find(|segment| segment.is_join_point()) {
            return Some(join.header.core.seq);
        }
        let count = (newest.0 - oldest.0 + 1).max(1);
        let mean = Micros(reached.0 / count).max(Micros::from_millis(1));
        Some(joins.before(Seq(oldest.0.saturating_sub(behind.since(reached).0 / mean.0))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noted(joins: &[u64]) -> JoinPoints {
        let mut all = JoinPoints::default();
        joins.iter().for_each(|join| all.note(Seq(*join)));
        all
    }

    #[test]
    fn join_points_that_keep_their_distance_are_known_where_nothing_is_here() {
        let joins = noted(&[423, 413, 403]);
        assert_eq!([399, 394, 393, 392, 3, 2].map(|seq| joins.before(Seq(seq)).0), [393, 393, 393, 383, 3, 0]);
        let with_a_hole = noted(&[423, 413, 383]);
        assert_eq!(with_a_hole.before(Seq(299)), Seq(293));
    }

    #[test]
    fn join_points_that_keep_none_say_nothing() {
        assert_eq!(noted(&[423, 413, 400]).before(Seq(299)), Seq(299));
        assert_eq!(noted(&[423]).before(Seq(299)), Seq(299));
        assert_eq!(noted(&[]).before(Seq(299)), Seq(299));
    }
}
