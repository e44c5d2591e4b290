//! Time as a number: monotonic microseconds handed in by a driver.

use core::ops::{Add, AddAssign, Sub};

use serde::{Deserialize, Serialize};

/// Monotonic microseconds since an origin the driver chose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Micros(pub u64);

/// Microseconds in a millisecond.
const MILLI: u64 = 1_000;

impl Micros {
    /// A moment or span of `ms` milliseconds.
    pub const fn from_millis(ms: u64) -> Self {
        Self(ms * MILLI)
    }

    /// A moment or span of `s` seconds.
    pub const fn from_secs(s: u64) -> Self {
        Self(s * 1_000 * MILLI)
    }

    /// Whole milliseconds.
    pub const fn as_millis(self) -> u64 {
        self.0 / MILLI
    }

    /// The span from `earlier` to here, zero when `earlier` is later.
    pub const fn since(self, earlier: Self) -> Self {
        Self(self.0.saturating_sub(earlier.0))
    }
}

impl Add for Micros {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl AddAssign for Micros {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sub for Micros {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        self.since(other)
    }
}
