//! Who may open a control connection: a bound per address, so that one machine cannot take all places.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex};

/// Counts the open control connections per IPv4 address or /64 of IPv6. Its size is that of the open connections.
#[derive(Clone, Debug)]
pub struct Admission {
    max: usize,
    open: Arc<Mutex<HashMap<Ipv6Addr, usize>>>,
}

/// One open connection's place.
#[derive(Debug)]
pub struct Place {
    network: Ipv6Addr,
    open: Arc<Mutex<HashMap<Ipv6Addr, usize>>>,
}

impl Admission {
    /// At most `max` connections per address.
    pub fn new(max: usize) -> Self {
        Self { max, open: Arc::default() }
    }

    /// A place for a connection from this address, while there is one.
    pub fn enter(&self, address: IpAddr) -> Option<Place> {
        let network = network(address);
        let mut open = self.open.lock().expect("no holder panics");
        let count = open.entry(network).or_default();
        if *count >= self.max {
            return None;
        }
        *count += 1;
        Some(Place { network, open: self.open.clone() })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.open.lock().expect("no holder panics");
        if let Some(count) = open.get_mut(&self.network) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.network);
            }
        }
    }
}

/// The address as IPv6, an IPv4 one mapped into it.
pub fn mapped(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped(),
        IpAddr::V6(v6) => v6,
    }
}

/// A household's name: an IPv4 address, or a /64 of IPv6.
pub fn network_name(address: IpAddr) -> String {
    let network = network(address);
    network.to_ipv4_mapped().map_or_else(|| format!("{network}/64"), |v4| v4.to_string())
}

/// One household: an IPv4 address, or the first half of an IPv6 address.
fn network(address: IpAddr) -> Ipv6Addr {
    let mapped = mapped(address);
    match mapped.to_ipv4_mapped() {
        Some(_) => mapped,
        None => Ipv6Addr::from_bits(mapped.to_bits() >> 64 << 64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn address_has_a_bound_and_gives_places_back() {
        let admission = Admission::new(2);
        let first = admission.enter(at("192.0.2.1"));
        let second = admission.enter(at("::ffff:192.0.2.1"));
        assert!(first.is_some() && second.is_some());
        assert!(admission.enter(at("192.0.2.1")).is_none());
        assert!(admission.enter(at("192.0.2.2")).is_some());
        drop(first);
        assert!(admission.enter(at("192.0.2.1")).is_some());
    }

    #[test]
    fn a_household_has_one_name() {
        assert_eq!(network_name(at("::ffff:192.0.2.1")), "192.0.2.1");
        assert_eq!(network_name(at("2001:db8:0:1:ffff::2")), "2001:db8:0:1::/64");
    }

    #[test]
    fn ipv6_addresses_of_one_household_count_together_and_are_forgotten() {
        let admission = Admission::new(1);
        let one = admission.enter(at("2001:db8:0:1::1"));
        assert!(admission.enter(at("2001:db8:0:1:ffff::2")).is_none());
        assert!(admission.enter(at("2001:db8:0:2::1")).is_some());
        drop(one);
        assert!(admission.open.lock().unwrap().is_empty());
    }
}
