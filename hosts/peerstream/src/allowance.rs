//! How often an address may ask something that costs this host more than an answer.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Instant;

/// Networks that are remembered; when there are more, those that have their whole allowance are forgotten, and if there is none
/// newcomers are refused.
pub const NETWORKS_MAX: usize = 16_384;

/// An allowance for each network.
#[derive(Debug)]
pub struct Allowance {
    burst: f64,
    per_second: f64,
    left: Mutex<HashMap<String, (f64, Instant)>>,
}

impl Allowance {
    /// So many at once, and so many per second after that.
    pub fn new(burst: u32, per_second: f64) -> Self {
        Self { burst: burst.into(), per_second, left: Mutex::default() }
    }

    /// Whether somebody of this network may ask now.
    pub fn take(&self, network: &str, now: Instant) -> bool {
        let mut all = self.left.lock().expect("no holder panics");
        if all.len() >= NETWORKS_MAX && !all.contains_key(network) {
            all.retain(|_, (left, at)| self.refilled(*left, *at, now) < self.burst);
            if all.len() >= NETWORKS_MAX {
                return false;
            }
        }
        let (left, at) = all.entry(network.to_owned()).or_insert((self.burst, now));
        *left = self.refilled(*left, *at, now);
        *at = now;
        let may = *left >= 1.0;
        if may {
            *left -= 1.0;
        }
        may
    }

    /// What was taken was not needed.
    pub fn give_back(&self, network: &str) {
        if let Some((left, _)) = self.left.lock().expect("no holder panics").get_mut(network) {
            *left = (*left + 1.0).min(self.burst);
        }
    }

    fn refilled(&self, left: f64, at: Instant, now: Instant) -> f64 {
        (left + now.saturating_duration_since(at).as_secs_f64() * self.per_second).min(self.burst)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_network_has_its_burst_and_then_its_rate() {
        let (allowance, start) = (Allowance::new(3, 0.5), Instant::now());
        let taken = |second| allowance.take("a", start + Duration::from_secs(second));
        assert_eq!([taken(0), taken(0), taken(0), taken(0)], [true, true, true, false]);
        assert!(allowance.take("b", start));
        assert_eq!([taken(1), taken(2), taken(3)], [false, true, false]);
    }

    #[test]
    fn memory_is_bounded_and_those_at_rest_make_room() {
        let (allowance, start) = (Allowance::new(2, 1.0), Instant::now());
        (0..NETWORKS_MAX).for_each(|n| assert!(allowance.take(&n.to_string(), start)));
        assert!(!allowance.take("late", start));
        assert!(allowance.take("late", start + Duration::from_secs(2)));
        assert_eq!(allowance.left.lock().unwrap().len(), 1);
    }
}
