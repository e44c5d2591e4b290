//! How unevenly the stream comes: what a player has to keep in store so that it never waits.

use peerstream_protocol::time::Micros;

/// The least transit is that of the last one to two spans of this length: a node that has moved in the tree gets used to it.
const SPAN: Micros = Micros::from_secs(5);
/// Lateness beyond this is an outage; no player keeps more in store for it.
const LATE_MAX: u64 = 1_000_000;
/// Lateness is believed in less and less: by a millisecond in so many.
const FALL: u64 = 50;

/// By how much segments come later than the quickest of late. Rises at once, falls by 20 ms a second.
#[derive(Clone, Debug, Default)]
pub(crate) struct Jitter {
    /// The source's clock when measuring began: what is older comes in a burst, and late by nature.
    begun_us: Option<u64>,
    /// The least transit of the present span and of the one before. The clocks' difference is in it, and cancels out.
    least: [Option<i64>; 2],
    turned: Micros,
    late: Micros,
    noted: Micros,
}

impl Jitter {
    /// A segment that the source took in at `wall_us` is ready to be played; the source's clock shows about `source_us`.
    pub(crate) fn on_segment(&mut self, wall_us: u64, source_us: Option<u64>, now: Micros) {
        let begun = *self.begun_us.get_or_insert(source_us.unwrap_or(wall_us));
        if wall_us < begun {
            return;
        }
        let transit = (now.0 as i64).wrapping_sub(wall_us as i64);
        self.turn(now);
        self.least[0] = Some(self.least[0].map_or(transit, |least| least.min(transit)));
        let least = self.least.into_iter().flatten().min().unwrap_or(transit);
        let late = Micros((transit.saturating_sub(least).max(0) as u64).min(LATE_MAX));
        (self.late, self.noted) = (late.max(self.now(now)), now);
    }

    fn turn(&mut self, now: Micros) {
        if now.since(self.turned) >= SPAN {
            (self.least, self.turned) = ([None, self.least[0]], now);
        }
    }

    /// What is believed now; at most a second.
    pub(crate) fn now(&self, now: Micros) -> Micros {
        self.late.since(Micros(now.since(self.noted).0 / FALL))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WALL: u64 = 1_700_000_000_000_000;

    /// Segments of 100 ms that come after these delays in milliseconds; the end of it, and what is believed then.
    fn after(delays: impl IntoIterator<Item = u64>) -> (Jitter, Micros) {
        let (mut jitter, mut end) = (Jitter::default(), Micros(0));
        for (at, delay) in (0..).zip(delays) {
            let taken_in = at * 100_000;
            end = end.max(Micros(taken_in + delay * 1_000));
            jitter.on_segment(WALL + taken_in, Some(WALL), end);
        }
        (jitter, end)
    }

    fn believed_ms(delays: impl IntoIterator<Item = u64>) -> u64 {
        let (jitter, end) = after(delays);
        jitter.now(end).0 / 1_000
    }

    #[test]
    fn an_even_stream_has_none_however_long_its_way() {
        assert_eq!(believed_ms([700; 50]), 0);
    }

    #[test]
    fn one_late_segment_is_believed_at_once_and_forgotten_slowly() {
        let late = believed_ms([50, 50, 50, 350]);
        assert_eq!(late, 300);
        let later = believed_ms([50, 50, 50, 350].into_iter().chain([50; 50]));
        assert!((180..=220).contains(&later), "{later} ms after five seconds");
        assert_eq!(believed_ms([50, 50, 50, 350].into_iter().chain([50; 200])), 0);
    }

    #[test]
    fn a_longer_way_for_good_is_no_jitter_in_the_end() {
        assert_eq!(believed_ms([50; 20].into_iter().chain([450; 400])), 0);
    }

    #[test]
    fn what_was_there_before_the_viewer_came_is_no_jitter() {
        let mut jitter = Jitter::default();
        let joined = Micros::from_secs(60);
        (0..20).for_each(|back| jitter.on_segment(WALL + (40 + back) * 1_000_000, Some(WALL + joined.0), joined));
        assert_eq!(jitter.now(joined), Micros(0));
    }

    #[test]
    fn a_publisher_that_was_away_is_no_jitter() {
        let mut jitter = Jitter::default();
        for at in (0..50).chain(400..450).map(|at| at * 100_000) {
            jitter.on_segment(WALL + at, Some(WALL), Micros(at + 80_000));
            assert_eq!(jitter.now(Micros(at + 80_000)), Micros(0));
        }
    }

    proptest! {
        #[test]
        fn it_covers_the_latest_of_the_last_segments(delays in proptest::collection::vec(20_u64..900, 5..200)) {
            // Segments are ready in order: one that is late makes those behind it late.
            let mut ready = 0;
            let lateness: Vec<u64> = (0..).zip(&delays).map(|(at, delay)| {
                ready = ready.max(at * 100 + delay);
                ready - at * 100
            }).collect();
            let believed = believed_ms(delays.iter().copied());
            prop_assert!(believed <= 1_000);
            // Later than the quickest of the four seconds before, in the last second; 20 ms of it may be forgotten, or a little
            // more, as the last segments may be ready later than the last second.
            let late = |at: usize| lateness[at] - lateness[at.saturating_sub(40)..=at].iter().min().unwrap();
            let of_late = (lateness.len().saturating_sub(10)..lateness.len()).map(late).max().unwrap();
            prop_assert!(believed + 40 >= of_late, "{believed} ms for {lateness:?}");
        }

        #[test]
        fn no_clock_of_a_source_makes_it_panic(walls in proptest::collection::vec(any::<u64>(), 1..50)) {
            let mut jitter = Jitter::default();
            for (at, wall) in (0..).zip(walls) {
                jitter.on_segment(wall, None, Micros(at * 100_000));
                prop_assert!(jitter.now(Micros(at * 100_000)).0 <= LATE_MAX);
            }
        }
    }
}
