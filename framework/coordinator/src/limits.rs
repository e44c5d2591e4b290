//! Allowances that refill with time.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use peerstream_protocol::time::Micros;

/// How much at once, and how much per second after that.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rate {
    pub(crate) burst: u32,
    pub(crate) per_second: u32,
}

/// A limited supply that refills with time (token bucket).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bucket {
    /// Millionths of a token.
    supply: u64,
    filled: Micros,
}

const TOKEN: u64 = 1_000_000;

impl Bucket {
    pub(crate) fn full(rate: Rate, now: Micros) -> Self {
        Self { supply: u64::from(rate.burst) * TOKEN, filled: now }
    }

    /// Takes one token; false when there is none.
    pub(crate) fn take(&mut self, rate: Rate, now: Micros) -> bool {
        self.refill(rate, now);
        let some = self.supply >= TOKEN;
        if some {
            self.supply -= TOKEN;
        }
        some
    }

    fn refill(&mut self, rate: Rate, now: Micros) {
        let more = now.since(self.filled).0.saturating_mul(u64::from(rate.per_second));
        self.supply = self.supply.saturating_add(more).min(u64::from(rate.burst) * TOKEN);
        self.filled = self.filled.max(now);
    }

    pub(crate) fn is_full(&mut self, rate: Rate, now: Micros) -> bool {
        self.refill(rate, now);
        self.supply >= u64::from(rate.burst) * TOKEN
    }
}

/// Whether one address may join once more.
#[derive(Clone, Debug)]
pub(crate) struct Addresses {
    rate: Rate,
    max: usize,
    buckets: BTreeMap<u128, Bucket>,
    shared: Bucket,
}

/// The verdict on a join.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Join {
    /// Within its own allowance.
    Allowed,
    /// Within the allowance that addresses share when too many are remembered.
    AllowedShared,
    /// Beyond it.
    Refused,
}

impl Addresses {
    pub(crate) fn new(rate: Rate, max: usize, now: Micros) -> Self {
        Self { rate, max, buckets: BTreeMap::new(), shared: Bucket::full(rate, now) }
    }

    pub(crate) fn join(&mut self, address: [u8; 16], now: Micros) -> Join {
        let key = network(address);
        let full = self.buckets.len() >= self.max;
        let bucket = match self.buckets.entry(key) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(_) if full => {
                return if self.shared.take(self.rate, now) { Join::AllowedShared } else { Join::Refused };
            }
            Entry::Vacant(new) => new.insert(Bucket::full(self.rate, now)),
        };
        if bucket.take(self.rate, now) { Join::Allowed } else { Join::Refused }
    }

    /// Forgets addresses that have their whole allowance again.
    pub(crate) fn forget_idle(&mut self, now: Micros) {
        let rate = self.rate;
        self.buckets.retain(|_, bucket| !bucket.is_full(rate, now));
    }
}

/// One household: an IPv4 address, or the first half of an IPv6 address.
fn network(mut address: [u8; 16]) -> u128 {
    const MAPPED: [u8; 12] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff];
    if !address.starts_with(&MAPPED) {
        address[8..].fill(0);
    }
    u128::from_be_bytes(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate { burst: 10, per_second: 5 };

    #[test]
    fn a_bucket_gives_its_burst_and_then_its_rate() {
        let mut bucket = Bucket::full(RATE, Micros(0));
        let taken = (0..20).filter(|_| bucket.take(RATE, Micros(0))).count();
        assert_eq!(taken, 10);
        let taken = (0..1_000).filter(|ms| bucket.take(RATE, Micros::from_millis(*ms))).count();
        assert!((4..=5).contains(&taken), "{taken}");
    }

    #[test]
    fn addresses_of_one_ipv6_network_share_an_allowance_and_ipv4_addresses_do_not() {
        let mut addresses = Addresses::new(Rate { burst: 1, per_second: 0 }, 10, Micros(0));
        let v6 = |last| [0x20, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last];
        let v4 = |last| [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, last];
        assert_eq!(addresses.join(v6(1), Micros(0)), Join::Allowed);
        assert_eq!(addresses.join(v6(2), Micros(0)), Join::Refused);
        assert_eq!(addresses.join(v4(1), Micros(0)), Join::Allowed);
        assert_eq!(addresses.join(v4(2), Micros(0)), Join::Allowed);
    }

    #[test]
    fn more_addresses_than_can_be_remembered_share_one_allowance() {
        let rate = Rate { burst: 2, per_second: 1 };
        let mut addresses = Addresses::new(rate, 3, Micros(0));
        let verdicts: Vec<_> = (0..8_u8).map(|net| addresses.join([net; 16], Micros(0))).collect();
        assert_eq!(verdicts.iter().filter(|verdict| **verdict == Join::Allowed).count(), 3);
        assert_eq!(verdicts.iter().filter(|verdict| **verdict == Join::AllowedShared).count(), 2);
        addresses.forget_idle(Micros::from_secs(2));
        assert_eq!(addresses.join([9; 16], Micros::from_secs(2)), Join::Allowed);
    }
}
