//! Cuts plain bytes into units; told the time, never asks.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use peerstream_sdk::traits::ingest::Unit;

/// A data unit is given out when it has this many bytes.
pub const DATA_UNIT_BYTES: usize = 16 * 1024;
/// A data unit is given out when its first byte has waited this long.
pub const DATA_UNIT_AGE_MAX: Duration = Duration::from_millis(100);

/// Cuts plain bytes into units of 16 KiB or 100 ms, whichever comes first. All times are since the start of the input.
#[derive(Debug, Default)]
pub struct DataCutter {
    gathered: BytesMut,
    since: Duration,
}

impl DataCutter {
    /// Takes bytes that arrive now, and gives the units that are full.
    pub fn push(&mut self, mut bytes: &[u8], now: Duration) -> Vec<Unit> {
        let mut units = Vec::new();
        while !bytes.is_empty() {
            if self.gathered.is_empty() {
                self.since = now;
            }
            let (head, rest) = bytes.split_at(bytes.len().min(DATA_UNIT_BYTES - self.gathered.len()));
            self.gathered.extend_from_slice(head);
            bytes = rest;
            if self.gathered.len() == DATA_UNIT_BYTES {
                units.extend(self.flush());
            }
        }
        units
    }

    /// When what was gathered must be given out.
    pub fn deadline(&self) -> Option<Duration> {
        (!self.gathered.is_empty()).then(|| self.since + DATA_UNIT_AGE_MAX)
    }

    /// Gives out what was gathered.
    pub fn flush(&mut self) -> Option<Unit> {
        let payload = self.gathered.split().freeze();
        (!payload.is_empty()).then(|| unit(payload, self.since))
    }
}

fn unit(payload: Bytes, at: Duration) -> Unit {
    let pts_us = u64::try_from(at.as_micros()).unwrap_or(u64::MAX);
    Unit { payload, pts_us, duration_us: 0, join_point: true, discontinuity: false }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_unit_leaves_at_once_and_the_rest_after_100_ms() {
        let mut cutter = DataCutter::default();
        let now = Duration::from_secs(3);
        let units = cutter.push(&[7; DATA_UNIT_BYTES + 5], now);
        assert_eq!(units.iter().map(|unit| unit.payload.len()).collect::<Vec<_>>(), [DATA_UNIT_BYTES]);
        assert_eq!(cutter.deadline(), Some(now + DATA_UNIT_AGE_MAX));
        let rest = cutter.flush().unwrap();
        assert_eq!((rest.payload.len(), rest.pts_us, rest.join_point), (5, 3_000_000, true));
        assert_eq!((cutter.deadline(), cutter.flush()), (None, None));
    }
}
