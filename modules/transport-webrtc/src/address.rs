//! Which local addresses a link binds.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicU16, Ordering};

use crate::config::{Config, Ports};

/// A link binds at most this many addresses.
const ADDRESSES_MAX: usize = 8;

/// Where in the port range the next link begins to look.
#[derive(Debug, Default)]
pub(crate) struct PortCursor(AtomicU16);

/// Returns the addresses to bind now, with a free port of the range where one is set.
pub(crate) fn bind_addresses(config: &Config, cursor: &PortCursor) -> Vec<SocketAddr> {
    let mut ips = if config.bind_addresses.is_empty() { interface_addresses() } else { config.bind_addresses.clone() };
    if config.include_loopback {
        ips.push(IpAddr::V4(Ipv4Addr::LOCALHOST));
    }
    ips.sort();
    ips.dedup();
    ips.truncate(ADDRESSES_MAX);
    ips.into_iter().filter_map(|ip| with_port(ip, config.ports, cursor)).collect()
}

fn with_port(ip: IpAddr, ports: Option<Ports>, cursor: &PortCursor) -> Option<SocketAddr> {
    let Some(Ports { first, last }) = ports else { return Some(SocketAddr::new(ip, 0)) };
    let count = u32::from(last - first) + 1;
    // Another process may take the port before the connection binds it; the link then fails and is opened again.
    (0..count).find_map(|_| {
        let step = u32::from(cursor.0.fetch_add(1, Ordering::Relaxed)) % count;
        let address = SocketAddr::new(ip, first + u16::try_from(step).expect("step is below the count of ports"));
        UdpSocket::bind(address).is_ok().then_some(address)
    })
}

fn interface_addresses() -> Vec<IpAddr> {
    let interfaces = rtc::shared::ifaces::ifaces().unwrap_or_default();
    interfaces.into_iter().filter_map(|interface| Some(interface.addr?.ip())).filter(is_usable).collect()
}

/// Loopback is asked for apart; link-local addresses mean nothing to another machine.
fn is_usable(ip: &IpAddr) -> bool {
    let link_local = match ip {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    };
    !link_local && !ip.is_loopback() && !ip.is_unspecified() && !ip.is_multicast()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loopback_only(ports: Option<Ports>) -> Config {
        Config { bind_addresses: vec![Ipv4Addr::LOCALHOST.into()], ports, ..Config::default() }
    }

    #[test]
    fn an_address_is_bound_once() {
        let addresses = bind_addresses(&loopback_only(None), &PortCursor::default());
        assert_eq!(addresses, [SocketAddr::from(([127, 0, 0, 1], 0))]);
    }

    #[test]
    fn ports_in_use_are_skipped() {
        let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
        let first = taken.local_addr().unwrap().port();
        let config = loopback_only(Some(Ports { first, last: first.saturating_add(20) }));
        let found = bind_addresses(&config, &PortCursor::default());
        assert_eq!(found.len(), 1);
        assert_ne!(found[0].port(), first);
    }

    #[test]
    fn no_free_port_gives_no_address() {
        let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
        let first = taken.local_addr().unwrap().port();
        assert!(bind_addresses(&loopback_only(Some(Ports { first, last: first })), &PortCursor::default()).is_empty());
    }
}
