//! Holds back a source that sends faster than it is heard.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// How far ahead of the time a source may be when it begins.
const LEAD: Duration = Duration::from_secs(5);
/// Clocks of sound cards are off by less: in a hundredth.
const FASTER: u32 = 1;

/// Lets through what is no further ahead than [`LEAD`] and, for long, no faster than one in a hundred: a source with a clock that
/// is a little fast is never held back, a file that is sent as fast as the line allows is.
#[derive(Debug)]
pub struct Pace {
    begun: Instant,
}

impl Pace {
    /// Begins now.
    pub fn begin() -> Self {
        Self { begun: Instant::now() }
    }

    /// Waits until what is this far from the beginning may go out.
    pub async fn wait(&self, at: Duration) {
        let due = at.saturating_sub(LEAD) * 100 / (100 + FASTER);
        sleep_until(self.begun + due).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn a_file_that_is_sent_at_once_takes_its_time() {
        let (pace, start) = (Pace::begin(), Instant::now());
        for second in 0..=600 {
            pace.wait(SECOND * second).await;
        }
        let took = start.elapsed();
        assert!((SECOND * 588..SECOND * 590).contains(&took), "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_day_of_a_clock_that_is_a_little_fast_is_not_held_back() {
        let (pace, start) = (Pace::begin(), Instant::now());
        for minute in 1..=24 * 60 {
            tokio::time::advance(SECOND * 60).await;
            let before = start.elapsed();
            pace.wait(before + before / 5000).await;
            assert_eq!(start.elapsed(), before, "minute {minute}");
        }
    }
}
