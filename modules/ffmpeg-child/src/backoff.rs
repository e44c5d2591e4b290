//! How long to wait before a child is started again.

use std::time::Duration;

/// The first pause.
pub const PAUSE_MIN: Duration = Duration::from_millis(500);
/// The longest pause.
pub const PAUSE_MAX: Duration = Duration::from_secs(30);

/// Pauses that double from [`PAUSE_MIN`] to [`PAUSE_MAX`], and are short again after it went well for a while.
#[derive(Clone, Debug)]
pub struct Backoff {
    next: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { next: PAUSE_MIN }
    }
}

impl Backoff {
    /// The pause after a run that brought output for `well`: one that lasted [`PAUSE_MAX`] counts as good.
    pub fn after(&mut self, well: Duration) -> Duration {
        if well >= PAUSE_MAX {
            self.next = PAUSE_MIN;
        }
        let pause = self.next;
        self.next = (pause * 2).min(PAUSE_MAX);
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_bound_and_are_short_again_after_a_good_run() {
        let mut backoff = Backoff::default();
        let pauses: Vec<_> = (0..8).map(|_| backoff.after(Duration::ZERO).as_millis()).collect();
        assert_eq!(pauses, [500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]);
        assert_eq!(backoff.after(Duration::from_secs(29)), PAUSE_MAX);
        assert_eq!(backoff.after(Duration::from_secs(31)), PAUSE_MIN);
    }
}
