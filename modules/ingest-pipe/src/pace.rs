//! Keeps a file to real time.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// A reader this late does not hurry after its schedule: the schedule moves, so that no larger burst follows.
pub const LATE_MAX: Duration = Duration::from_millis(500);

/// A schedule with absolute deadlines: it does not drift.
#[derive(Debug, Default)]
pub struct Pace {
    base: Option<Instant>,
}

impl Pace {
    /// Waits until `at`, counted from the first call's `at`.
    pub async fn wait(&mut self, at: Duration) {
        let now = Instant::now();
        let base = *self.base.get_or_insert_with(|| now.checked_sub(at).unwrap_or(now));
        let due = base + at;
        if now.saturating_duration_since(due) > LATE_MAX {
            self.base = Some(base + now.saturating_duration_since(due));
        }
        sleep_until(due).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[tokio::test(start_paused = true)]
    async fn an_hour_of_units_ends_after_an_hour() {
        let (start, mut pace) = (Instant::now(), Pace::default());
        for n in 0..=36_000 {
            pace.wait(100 * MS * n).await;
        }
        let took = start.elapsed();
        assert!(took.abs_diff(Duration::from_secs(3600)) < 2 * MS, "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_long_stall_the_schedule_moves_instead_of_bursting() {
        let mut pace = Pace::default();
        pace.wait(Duration::ZERO).await;
        tokio::time::advance(Duration::from_secs(5)).await;
        let resumed = Instant::now();
        pace.wait(100 * MS).await;
        assert!(resumed.elapsed() < 2 * MS);
        pace.wait(200 * MS).await;
        assert!(resumed.elapsed().abs_diff(100 * MS) < 2 * MS);
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_short_stall_it_catches_up() {
        let mut pace = Pace::default();
        pace.wait(Duration::ZERO).await;
        tokio::time::advance(400 * MS).await;
        let resumed = Instant::now();
        pace.wait(300 * MS).await;
        assert!(resumed.elapsed() < 2 * MS);
        pace.wait(500 * MS).await;
        assert!(resumed.elapsed().abs_diff(100 * MS) < 2 * MS);
    }
}
