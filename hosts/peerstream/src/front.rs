//! Web servers in front of this one, and for whom they ask.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::http::HeaderMap;

const FORWARDED_FOR: &str = "x-forwarded-for";

/// Those whose word is believed; of anybody else the header says what its sender likes.
#[derive(Clone, Debug, Default)]
pub struct Proxies(Arc<[IpAddr]>);

impl Proxies {
    /// At these addresses.
    pub fn new(addresses: &[IpAddr]) -> Self {
        Self(addresses.iter().map(IpAddr::to_canonical).collect())
    }

    /// Whether one of them is here.
    pub fn is_one(&self, address: IpAddr) -> bool {
        self.0.contains(&address.to_canonical())
    }

    /// Who asks over a connection from this address: the last one in the header that is no proxy's. What stands before it, strangers may have
    /// written.
    pub fn visitor(&self, from: SocketAddr, headers: &HeaderMap) -> SocketAddr {
        if !self.is_one(from.ip()) {
            return from;
        }
        let lines: Vec<_> =
            headers.get_all(FORWARDED_FOR).iter().map(|line| line.to_str().unwrap_or_default()).collect();
        let hops = lines.iter().rev().flat_map(|line| line.rsplit(',')).map(|hop| address(hop.trim()));
        // A hop that is no address ends it: nothing before it can be known.
        let visitor = hops.map_while(|hop| hop).find(|hop| !self.is_one(*hop));
        visitor.map_or(from, |visitor| SocketAddr::new(visitor, 0))
    }
}

/// An address, with or without a port.
fn address(hop: &str) -> Option<IpAddr> {
    hop.parse().ok().or_else(|| hop.parse().ok().map(|it: SocketAddr| it.ip()))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn visitor(from: &str, lines: &[&'static str]) -> String {
        let proxies = Proxies::new(&["127.0.0.1".parse().unwrap(), "10.0.0.7".parse().unwrap()]);
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(FORWARDED_FOR, HeaderValue::from_static(line));
        }
        proxies.visitor(SocketAddr::new(from.parse().unwrap(), 4000), &headers).ip().to_string()
    }

    #[test]
    fn only_a_proxy_that_is_named_says_for_whom_it_asks() {
        assert_eq!(visitor("192.0.2.1", &["198.51.100.9"]), "192.0.2.1");
        assert_eq!(visitor("127.0.0.1", &["198.51.100.9"]), "198.51.100.9");
        assert_eq!(visitor("::ffff:127.0.0.1", &["2001:db8::1"]), "2001:db8::1");
        assert_eq!(visitor("127.0.0.1", &[]), "127.0.0.1");
    }

    #[test]
    fn what_a_visitor_has_written_before_is_not_believed() {
        assert_eq!(visitor("127.0.0.1", &["203.0.113.1, 198.51.100.9"]), "198.51.100.9");
        assert_eq!(visitor("127.0.0.1", &["203.0.113.1", "198.51.100.9:1234"]), "198.51.100.9");
        assert_eq!(visitor("127.0.0.1", &["203.0.113.1, 198.51.100.9, 10.0.0.7"]), "198.51.100.9");
        assert_eq!(visitor("127.0.0.1", &["203.0.113.1, unknown"]), "127.0.0.1");
        assert_eq!(visitor("127.0.0.1", &["203.0.113.1, unknown, 10.0.0.7"]), "127.0.0.1");
        assert_eq!(visitor("127.0.0.1", &["[2001:db8::1]:80,"]), "127.0.0.1");
    }
}
