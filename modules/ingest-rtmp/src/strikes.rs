//! Wrong keys, by address: after each one the address must wait longer.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

/// Addresses that are remembered; the one with the oldest mistake is forgotten for a new one.
const ADDRESSES_MAX: usize = 1024;
/// How long an address waits after its first mistake; doubles each time.
const FIRST: Duration = Duration::from_secs(1);
/// The longest wait.
const MAX: Duration = Duration::from_secs(32);
/// An address that made no mistake for this long has a clean slate.
const FORGOTTEN: Duration = Duration::from_secs(600);

/// Who has shown wrong keys. All times are since any one moment.
#[derive(Debug, Default)]
pub struct Strikes {
    addresses: BTreeMap<IpAddr, Strike>,
}

#[derive(Clone, Copy, Debug)]
struct Strike {
    count: u32,
    last: Duration,
}

impl Strike {
    fn wait(&self) -> Duration {
        FIRST.saturating_mul(1 << self.count.saturating_sub(1).min(16)).min(MAX)
    }
}

impl Strikes {
    /// How long an address must still wait until its next key is looked at.
    pub fn wait(&self, address: IpAddr, now: Duration) -> Duration {
        let strike = self.addresses.get(&origin(address));
        strike.map_or(Duration::ZERO, |strike| (strike.last + strike.wait()).saturating_sub(now))
    }

    /// An address has shown a wrong key.
    pub fn add(&mut self, address: IpAddr, now: Duration) {
        self.addresses.retain(|_, strike| now.saturating_sub(strike.last) < FORGOTTEN);
        let address = origin(address);
        if self.addresses.len() >= ADDRESSES_MAX && !self.addresses.contains_key(&address) {
            let oldest = self.addresses.iter().min_by_key(|(_, strike)| strike.last).map(|(&address, _)| address);
            oldest.map(|oldest| self.addresses.remove(&oldest));
        }
        let strike = self.addresses.entry(address).or_insert(Strike { count: 0, last: now });
        *strike = Strike { count: strike.count.saturating_add(1), last: now };
    }

    /// An address has shown the right key.
    pub fn clear(&mut self, address: IpAddr) {
        self.addresses.remove(&origin(address));
    }
}

/// Who an address stands for: with IPv6 everybody has a whole network.
pub fn origin(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::from([a, b, c, d, 0, 0, 0, 0])
        }
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(n: u32) -> IpAddr {
        IpAddr::from(n.to_be_bytes())
    }

    #[test]
    fn each_wrong_key_doubles_the_wait_and_the_right_one_ends_it() {
        let mut strikes = Strikes::default();
        let now = Duration::from_secs(100);
        let waits: Vec<_> = (0..8)
            .map(|_| {
                strikes.add(address(1), now);
                strikes.wait(address(1), now).as_secs()
            })
            .collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 32, 32]);
        assert_eq!(strikes.wait(address(2), now), Duration::ZERO);
        assert_eq!(strikes.wait(address(1), now + MAX), Duration::ZERO);
        strikes.clear(address(1));
        assert_eq!(strikes.wait(address(1), now), Duration::ZERO);
    }

    #[test]
    fn only_so_many_addresses_are_remembered() {
        let mut strikes = Strikes::default();
        (0..5000).for_each(|n| strikes.add(address(n), Duration::from_millis(n.into())));
        assert_eq!(strikes.addresses.len(), ADDRESSES_MAX);
        assert!(strikes.wait(address(4999), Duration::from_secs(5)) > Duration::ZERO);
    }

    #[test]
    fn addresses_of_one_network_of_ipv6_are_one() {
        let mut strikes = Strikes::default();
        strikes.add("2001:db8::1".parse().unwrap(), Duration::ZERO);
        assert!(strikes.wait("2001:db8::2".parse().unwrap(), Duration::ZERO) > Duration::ZERO);
        assert_eq!(strikes.wait("2001:db8:0:1::2".parse().unwrap(), Duration::ZERO), Duration::ZERO);
    }
}
