//! From seconds of a broadcast to the numbers of its segments.

use peerstream_traits::archive::Seq;

/// Marks that are remembered; beyond it every second one is forgotten and the rest stand for twice the time.
pub const MARKS_MAX: usize = 65_536;

/// When which segment was made: one mark per second at first, so that a day takes about a megabyte.
#[derive(Clone, Debug)]
pub(crate) struct Timeline {
    marks: Vec<(u64, Seq)>,
    spacing_us: u64,
    end: Seq,
    /// When the broadcast began, if that was before the first mark.
    began_us: Option<u64>,
}

impl Default for Timeline {
    fn default() -> Self {
        Self { marks: Vec::new(), spacing_us: 1_000_000, end: Seq(0), began_us: None }
    }
}

impl Timeline {
    /// Of a broadcast that began at this time of the source's clock and goes on; what was before is known in one piece only.
    pub(crate) fn since(began_us: Option<u64>) -> Self {
        Self { began_us, ..Self::default() }
    }

    /// A segment that was complete at this time of the source's clock.
    pub(crate) fn add(&mut self, seq: Seq, wall_us: u64) {
        self.end = seq.next();
        if self.marks.last().is_some_and(|(last, _)| wall_us < last.saturating_add(self.spacing_us)) {
            return;
        }
        self.marks.push((wall_us, seq));
        if self.marks.len() > MARKS_MAX {
            self.spacing_us *= 2;
            let mut index = 0;
            self.marks.retain(|_| {
                index += 1;
                index % 2 == 1
            });
        }
    }

    /// The first number and the one after the last.
    pub(crate) fn span(&self) -> Option<(Seq, Seq)> {
        self.marks.first().map(|(_, first)| (*first, self.end))
    }

    /// The numbers from one second of the broadcast to another, rather a few too many than one too few.
    pub(crate) fn range(&self, from_s: f64, to_s: f64) -> Option<(Seq, Seq)> {
        let (known_us, _) = *self.marks.first()?;
        let start = self.began_us.unwrap_or(known_us);
        let at = |seconds: f64| start.saturating_add((seconds.max(0.0) * 1e6) as u64);
        // A segment is complete after what it shows, so the mark before is where to begin and the second one after to end.
        let before = self.marks.partition_point(|(wall, _)| *wall <= at(from_s)).saturating_sub(1);
        let after = self.marks.partition_point(|(wall, _)| *wall <= at(to_s)) + 1;
        let end = self.marks.get(after).map_or(self.end, |(_, seq)| *seq);
        let first = if self.began_us.is_some() && at(from_s) < known_us { Seq(0) } else { self.marks[before].1 };
        Some((first, end))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timeline(segments: u64) -> Timeline {
        let mut timeline = Timeline::default();
        (0..segments).for_each(|seq| timeline.add(Seq(seq), 5_000_000 + seq * 500_000));
        timeline
    }

    #[test]
    fn a_span_of_seconds_covers_all_of_its_segments() {
        let (first, end) = timeline(100).range(10.0, 20.0).unwrap();
        assert!(first <= Seq(20) && first >= Seq(17), "{first:?}");
        assert!(end >= Seq(41) && end <= Seq(45), "{end:?}");
        assert_eq!(timeline(100).range(40.0, 1e9).unwrap().1, Seq(100));
        assert_eq!(Timeline::default().range(0.0, 1.0), None);
    }

    #[test]
    fn what_was_before_a_broadcast_went_on_is_covered_whole() {
        let mut timeline = Timeline::since(Some(5_000_000));
        (200..300).for_each(|seq| timeline.add(Seq(seq), 5_000_000 + seq * 500_000));
        assert_eq!(timeline.range(10.0, 20.0), Some((Seq(0), Seq(202))));
        assert_eq!(timeline.range(110.0, 120.0).unwrap().0, Seq(220));
        assert_eq!(timeline.span(), Some((Seq(200), Seq(300))));
    }

    #[test]
    fn memory_is_bounded_however_long_a_broadcast_lasts() {
        let timeline = timeline(8 * MARKS_MAX as u64);
        assert!(timeline.marks.len() <= MARKS_MAX);
        let (first, end) = timeline.range(1_000.0, 1_001.0).unwrap();
        assert!(first <= Seq(2_000) && end > Seq(2_002), "{first:?} {end:?}");
    }
}
