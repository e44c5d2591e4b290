//! Distributions without their values: counts in buckets that grow with what they hold.

use crate::report::Quantiles;

/// Buckets per doubling: a value is off by at most 2.2 %.
const PER_DOUBLING: f64 = 32.0;
/// Below this, buckets are this wide.
const SMALLEST: f64 = 0.5;
const BUCKETS: usize = 1 + 32 * 24;

/// Counts by value. Values are not negative.
#[derive(Clone, Debug, Default)]
pub(crate) struct Distribution {
    counts: Vec<u64>,
    count: u64,
    sum: f64,
    max: f64,
}

fn bucket(value: f64) -> usize {
    if value < SMALLEST {
        return 0;
    }
    (1 + ((value / SMALLEST).log2() * PER_DOUBLING) as usize).min(BUCKETS - 1)
}

/// The middle of a bucket.
fn middle(bucket: usize) -> f64 {
    if bucket == 0 { 0.0 } else { SMALLEST * ((bucket as f64 - 0.5) / PER_DOUBLING).exp2() }
}

impl Distribution {
    pub(crate) fn add(&mut self, value: f64) {
        let at = bucket(value);
        if self.counts.len() <= at {
            self.counts.resize(at + 1, 0);
        }
        self.counts[at] += 1;
        self.count += 1;
        self.sum += value;
        self.max = self.max.max(value);
    }

    pub(crate) fn add_all(&mut self, other: &Self) {
        if self.counts.len() < other.counts.len() {
            self.counts.resize(other.counts.len(), 0);
        }
        self.counts.iter_mut().zip(&other.counts).for_each(|(mine, theirs)| *mine += theirs);
        self.count += other.count;
        self.sum += other.sum;
        self.max = self.max.max(other.max);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub(crate) fn clear(&mut self) {
        *self = Self { counts: std::mem::take(&mut self.counts), ..Self::default() };
        self.counts.clear();
    }

    pub(crate) fn quantile(&self, share: f64) -> f64 {
        let rank = (self.count as f64 * share).ceil().max(1.0) as u64;
        let mut below = 0;
        for (at, count) in self.counts.iter().enumerate() {
            below += count;
            if below >= rank {
                return middle(at).min(self.max);
            }
        }
        0.0
    }

    pub(crate) fn quantiles(&self) -> Quantiles {
        Quantiles {
            count: self.count,
            mean: if self.count == 0 { 0.0 } else { self.sum / self.count as f64 },
            p50: self.quantile(0.5),
            p95: self.quantile(0.95),
            p99: self.quantile(0.99),
            max: self.max,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_right_within_a_bucket() {
        let mut distribution = Distribution::default();
        (1..=1_000).for_each(|value| distribution.add(f64::from(value)));
        let quantiles = distribution.quantiles();
        assert!((quantiles.p50 / 500.0 - 1.0).abs() < 0.025 && (quantiles.p99 / 990.0 - 1.0).abs() < 0.025);
        assert_eq!((quantiles.count, quantiles.mean, quantiles.max), (1_000, 500.5, 1_000.0));
    }
}
