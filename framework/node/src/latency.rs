//! *Latency L*: what one hop costs here.

use peerstream_protocol::id::Seq;
use peerstream_protocol::time::Micros;

/// Smoothing weight of a new sample, as in TCP's round-trip estimate (RFC 6298): one eighth.
const WEIGHT: u64 = 8;
/// L before anything was measured.
const INITIAL: Micros = Micros::from_millis(100);
/// A segment is taken to last at least and at most this long.
const SEGMENT_MIN: Micros = Micros::from_millis(20);
const SEGMENT_MAX: Micros = Micros::from_millis(500);
/// A hop's cost beyond this is an outage, not a latency.
const HOP_MAX: Micros = Micros::from_secs(1);

/// Smoothed (half the round trip to the parent + the time to receive a segment), never less than one segment.
#[derive(Clone, Debug)]
pub(crate) struct Latency {
    hop: Micros,
    segment: Micros,
    last: Option<(Seq, u64)>,
}

impl Default for Latency {
    fn default() -> Self {
        Self { hop: Micros::default(), segment: INITIAL, last: None }
    }
}

fn smooth(old: Micros, sample: Micros) -> Micros {
    Micros((old.0 * (WEIGHT - 1) + sample.0) / WEIGHT)
}

impl Latency {
    /// A header came: the distance of the source's clocks is the length of the segments between.
    pub(crate) fn on_header(&mut self, seq: Seq, wall_us: u64) {
        let newest = self.last.is_none_or(|(last, _)| last < seq);
        if let Some((last, last_wall_us)) = self.last.filter(|(_, last_wall_us)| newest && *last_wall_us < wall_us) {
            let length = Micros((wall_us - last_wall_us) / (seq.0 - last.0)).clamp(SEGMENT_MIN, SEGMENT_MAX);
            self.segment = smooth(self.segment, length);
        }
        if newest {
            self.last = Some((seq, wall_us));
        }
    }

    /// A segment of the parent's is complete.
    pub(crate) fn on_segment(&mut self, round_trip: Micros, receiving: Micros) {
        let sample = (Micros(round_trip.0 / 2) + receiving).min(HOP_MAX);
        self.hop = smooth(self.hop, sample);
    }

    /// L.
    pub(crate) fn hop(&self) -> Micros {
        self.hop.max(self.segment)
    }

    /// The mean length of a segment.
    pub(crate) fn segment(&self) -> Micros {
        self.segment
    }
}
