//! The process's monotonic clock, as the node and the coordinator want it told.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use peerstream_protocol::time::Micros;
use tokio::time::Instant;

/// Monotonic microseconds since its creation, with the wall clock as it was then. Cheap to copy.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    origin: Instant,
    wall_at_zero_us: u64,
}

impl Clock {
    /// A clock that starts at zero now.
    pub fn start() -> Self {
        Self { origin: Instant::now(), wall_at_zero_us: wall().as_micros() as u64 }
    }

    /// The time now.
    pub fn now(&self) -> Micros {
        Micros(self.origin.elapsed().as_micros() as u64)
    }

    /// Microseconds since 1970 at this clock's zero.
    pub fn wall_at_zero_us(&self) -> u64 {
        self.wall_at_zero_us
    }

    /// When a timer set for `at` is due.
    pub fn instant(&self, at: Micros) -> Instant {
        // A timer further away than this is as good as none.
        const FAR: u64 = 365 * 24 * 3600 * 1_000_000;
        self.origin + Duration::from_micros(at.0.min(self.now().0 + FAR))
    }
}

/// The wall clock: time since 1970, zero when it is set before that.
pub fn wall() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
