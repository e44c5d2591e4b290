//! Leave to open a control connection, for one network and a while.

use std::time::Duration;

use peerstream_protocol::crypto::PublicKey;

/// A ticket is no longer, in bytes.
pub const TICKET_BYTES_MAX: usize = 96;

const DOMAIN: &str = "peerstream 2026 admission ticket";

/// Makes and checks tickets: a time, and a keyed hash over it, the stream and the network. Nothing is stored.
#[derive(Clone)]
pub struct Tickets {
    key: [u8; 32],
    stream: PublicKey,
}

impl Tickets {
    /// With a secret of the host; the same secret knows the tickets of before a restart.
    pub fn new(secret: &[u8; 32], stream: PublicKey) -> Self {
        Self { key: blake3::derive_key(DOMAIN, secret), stream }
    }

    /// For somebody of this network, from now for this long.
    pub fn issue(&self, network: &str, now: Duration, ttl: Duration) -> String {
        let expiry = now.as_secs().saturating_add(ttl.as_secs());
        format!("{expiry:x}.{}", self.seal(expiry, network).to_hex())
    }

    /// Whether it is ours, of this network and has not expired.
    pub fn is_valid(&self, ticket: &str, network: &str, now: Duration) -> bool {
        let Some((expiry, seal)) = ticket.split_once('.').filter(|_| ticket.len() <= TICKET_BYTES_MAX) else {
            return false;
        };
        let (Ok(expiry), Ok(seal)) = (u64::from_str_radix(expiry, 16), blake3::Hash::from_hex(seal)) else {
            return false;
        };
        // The comparison of hashes takes the same time wherever they differ.
        self.seal(expiry, network) == seal && now.as_secs() < expiry
    }

    fn seal(&self, expiry: u64, network: &str) -> blake3::Hash {
        let message = [&self.stream.0[..], &expiry.to_le_bytes(), network.as_bytes()].concat();
        blake3::keyed_hash(&self.key, &message)
    }
}

impl std::fmt::Debug for Tickets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tickets")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(1_800_000_000);
    const HOUR: Duration = Duration::from_secs(3_600);

    fn tickets(secret: u8, stream: u8) -> Tickets {
        Tickets::new(&[secret; 32], PublicKey([stream; 32]))
    }

    #[test]
    fn a_ticket_holds_for_its_network_stream_and_time_alone() {
        let ticket = tickets(1, 1).issue("192.0.2.1", NOW, HOUR);
        assert!(ticket.len() <= TICKET_BYTES_MAX);
        assert!(tickets(1, 1).is_valid(&ticket, "192.0.2.1", NOW + HOUR / 2));
        assert!(!tickets(1, 1).is_valid(&ticket, "192.0.2.2", NOW));
        assert!(!tickets(1, 1).is_valid(&ticket, "192.0.2.1", NOW + HOUR));
        assert!(!tickets(1, 2).is_valid(&ticket, "192.0.2.1", NOW));
        assert!(!tickets(2, 1).is_valid(&ticket, "192.0.2.1", NOW));
    }

    #[test]
    fn what_is_no_ticket_is_none() {
        let tickets = tickets(1, 1);
        let ticket = tickets.issue("192.0.2.1", NOW, HOUR);
        let later = format!("{:x}{}", u64::MAX, &ticket[ticket.find('.').unwrap()..]);
        for text in ["", ".", "0.0", &later, &ticket[1..], &format!("{ticket}0"), &"f".repeat(1_000)] {
            assert!(!tickets.is_valid(text, "192.0.2.1", NOW), "{text}");
        }
    }
}
