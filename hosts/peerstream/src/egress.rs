//! What this host sends of the past, as segments to viewers and as HLS to ordinary players, all of it together within one rate.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Answers under way at once; whoever comes beyond that is turned away and counted.
pub const ANSWERS_MAX: u64 = 256;
/// What is not used is saved up for this long.
const SAVED_MAX: Duration = Duration::from_secs(2);

/// A rate that all answers share. An answer is sent as the rate allows; nobody is sent anything when it is 0.
#[derive(Debug)]
pub struct Egress {
    bytes_per_second: u64,
    /// Bytes that may be sent; below zero while what was sent has to be made up for.
    left: Mutex<(f64, Instant)>,
    sending: AtomicU64,
    bytes: AtomicU64,
    refused: AtomicU64,
}

impl Default for Egress {
    fn default() -> Self {
        Self::new(0)
    }
}

impl Egress {
    /// So many bits per second for all answers together.
    pub fn new(bits_per_second: u64) -> Self {
        let bytes_per_second = bits_per_second / 8;
        let left = bytes_per_second as f64 * SAVED_MAX.as_secs_f64();
        Self {
            bytes_per_second,
            left: Mutex::new((left, Instant::now())),
            sending: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        }
    }

    /// Whether anything is sent at all.
    pub fn is_some(&self) -> bool {
        self.bytes_per_second > 0
    }

    /// A place among the answers; none when there are too many.
    pub fn enter(self: &Arc<Self>) -> Option<Answer> {
        let most = if self.is_some() { ANSWERS_MAX } else { 0 };
        let entered = self.sending.fetch_update(Relaxed, Relaxed, |sending| (sending < most).then_some(sending + 1));
        if entered.is_err() {
            self.refused.fetch_add(1, Relaxed);
        }
        entered.is_ok().then(|| Answer(self.clone()))
    }

    /// Answers under way.
    pub fn sending(&self) -> u64 {
        self.sending.load(Relaxed)
    }

    /// Bytes sent so far.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Relaxed)
    }

    /// Answers refused because there were too many.
    pub fn refused(&self) -> u64 {
        self.refused.load(Relaxed)
    }

    /// Takes so many bytes off if there are any left, or says how long to wait.
    fn take(&self, bytes: usize, now: Instant) -> Option<Duration> {
        let mut left = self.left.lock().expect("no holder panics");
        let per_second = self.bytes_per_second as f64;
        let earned = now.saturating_duration_since(left.1).as_secs_f64() * per_second;
        *left = ((left.0 + earned).min(per_second * SAVED_MAX.as_secs_f64()), now.max(left.1));
        if left.0 <= 0.0 {
            return Some(Duration::from_secs_f64((1.0 - left.0) / per_second));
        }
        left.0 -= bytes as f64;
        None
    }
}

/// One answer's place.
#[derive(Debug)]
pub struct Answer(Arc<Egress>);

impl Answer {
    /// Waits until so many bytes may be sent.
    pub async fn spend(&self, bytes: usize) {
        while let Some(pause) = self.0.take(bytes, Instant::now()) {
            tokio::time::sleep(pause).await;
        }
        self.0.bytes.fetch_add(bytes as u64, Relaxed);
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.0.sending.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_answers_together_keep_the_rate() {
        let egress = Egress::new(8_000_000);
        let start = Instant::now();
        let mut sent = 0;
        // Ten seconds in steps of a millisecond, everybody taking what they can.
        for ms in 0..10_000 {
            let now = start + Duration::from_millis(ms);
            for _ in 0..3 {
                sent += if egress.take(50_000, now).is_none() { 50_000 } else { 0 };
            }
        }
        assert!((11_900_000..12_200_000).contains(&sent), "{sent} bytes: 10 s and 2 s saved up");
    }

    #[test]
    fn there_is_a_bound_on_answers_and_no_budget_means_none() {
        let egress = Arc::new(Egress::new(8_000_000));
        let all: Vec<_> = std::iter::from_fn(|| egress.enter()).collect();
        assert_eq!((all.len() as u64, egress.sending(), egress.refused()), (ANSWERS_MAX, ANSWERS_MAX, 1));
        drop(all);
        assert!(egress.sending() == 0 && egress.enter().is_some());
        assert!(Arc::new(Egress::new(0)).enter().is_none());
    }
}
