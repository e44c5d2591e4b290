//! Keeps an encoder from running away: media goes on at the speed of a clock, give or take.

use std::time::Duration;

/// How far ahead of the clock media may be.
const AHEAD_MAX: Duration = Duration::from_secs(2);
/// Media may be faster than the clock by this much for ever: clocks differ, and what was held up must be made good.
const SPEED_PERCENT: i128 = 105;

/// How much media may still go before the clock must catch up, in microseconds.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    credit_us: i128,
    at: Duration,
    end_us: Option<u64>,
    waited: Duration,
}

impl Pace {
    /// Begins at this time.
    pub fn new(now: Duration) -> Self {
        Self { credit_us: AHEAD_MAX.as_micros() as i128, at: now, end_us: None, waited: Duration::ZERO }
    }

    /// How long media that ends here, in microseconds of any clock, must wait.
    pub fn wait(&mut self, end_us: u64, now: Duration) -> Duration {
        let elapsed = now.saturating_sub(self.at).as_micros() as i128;
        let advance = self.end_us.map_or(0, |last| i128::from(end_us) - i128::from(last));
        self.credit_us += elapsed * SPEED_PERCENT / 100 - advance;
        self.credit_us = self.credit_us.min(AHEAD_MAX.as_micros() as i128);
        (self.at, self.end_us) = (now, Some(end_us));
        let owed = (-self.credit_us * 100 / SPEED_PERCENT).max(0);
        let wait = Duration::from_micros(u64::try_from(owed).unwrap_or(u64::MAX));
        self.waited += wait;
        wait
    }

    /// How long it has waited in all.
    pub fn waited(&self) -> Duration {
        self.waited
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sends ten units a second of media at a multiple of the clock's speed; returns the speed at which they went.
    fn speed(times: f64) -> f64 {
        let (mut pace, mut now) = (Pace::new(Duration::ZERO), Duration::ZERO);
        for unit in 0..10_000u64 {
            now += Duration::from_secs_f64(0.1 / times);
            now += pace.wait(unit * 100_000, now);
        }
        1000.0 / now.as_secs_f64()
    }

    #[test]
    fn a_flood_is_held_to_the_clock_and_a_clock_that_is_a_little_fast_is_not() {
        assert!((speed(50.0) - 1.05).abs() < 0.01, "{}", speed(50.0));
        assert!((speed(1.001) - 1.001).abs() < 0.000_1);
        assert!((speed(0.5) - 0.5).abs() < 0.001);
    }

    #[test]
    fn a_pause_in_the_media_that_lasted_as_long_costs_nothing() {
        let mut pace = Pace::new(Duration::ZERO);
        pace.wait(0, Duration::ZERO);
        assert_eq!(pace.wait(9_000_000, Duration::from_secs(9)), Duration::ZERO);
        assert_eq!(pace.wait(11_000_000, Duration::from_secs(9)), Duration::ZERO, "two seconds ahead");
        assert!(pace.wait(12_000_000, Duration::from_secs(9)) > Duration::from_millis(900));
    }
}
