//! The source's wall clock, seen from here.

use peerstream_protocol::time::Micros;

/// A sample grows stale by this much per second, so that a later, slower sample can replace it (clock drift).
const STALE_PER_SECOND: u64 = 200;

/// Estimates the offset between this node's time and the source's wall clock (Cristian's algorithm: the sample with the
/// shortest round trip counts).
#[derive(Clone, Debug, Default)]
pub(crate) struct Clock {
    best: Option<Sample>,
}

#[derive(Clone, Copy, Debug)]
struct Sample {
    wall_us: u64,
    at: Micros,
    round_trip: Micros,
}

impl Clock {
    /// The coordinator said `wall_us` in an answer that took `round_trip` in all.
    pub(crate) fn on_sample(&mut self, wall_us: u64, now: Micros, round_trip: Micros) {
        let sample = Sample { wall_us: wall_us.saturating_add(round_trip.0 / 2), at: now, round_trip };
        let keeps = self.best.is_some_and(|best| {
            best.round_trip.0.saturating_add(now.since(best.at).0 / 1_000_000 * STALE_PER_SECOND) < round_trip.0
        });
        if !keeps {
            self.best = Some(sample);
        }
    }

    /// The source's wall clock now, microseconds since 1970.
    pub(crate) fn wall_us(&self, now: Micros) -> Option<u64> {
        self.best.map(|best| best.wall_us.saturating_add(now.since(best.at).0))
    }
}
