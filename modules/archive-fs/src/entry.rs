//! One entry of the data: a head of fixed size, then the signed header or the init's id, then the payload.

use peerstream_sdk::protocol::crypto::hash;
use peerstream_sdk::traits::archive::{InitId, Item};

/// Bytes of a head.
pub(crate) const HEAD_BYTES: usize = 4 + 1 + 8 + 4 + 4 + 16;
/// Header and payload of an entry are no larger, together, in bytes; a head that says more is damaged.
pub(crate) const BODY_BYTES_MAX: u64 = 64 * 1024 * 1024;

const MAGIC: [u8; 4] = *b"PSa1";

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Key {
    /// By the first eight bytes of its id.
    Init(u64),
    /// By its number.
    Segment(u64),
}

/// The head of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) key: Key,
    pub(crate) header_len: u32,
    pub(crate) payload_len: u32,
    /// Of all other bytes of the entry.
    pub(crate) check: [u8; 16],
}

impl Head {
    pub(crate) fn body_len(&self) -> u64 {
        u64::from(self.header_len) + u64::from(self.payload_len)
    }

    pub(crate) fn entry_len(&self) -> u64 {
        HEAD_BYTES as u64 + self.body_len()
    }

    pub(crate) fn encode(&self) -> [u8; HEAD_BYTES] {
        let mut bytes = [0; HEAD_BYTES];
        let (kind, number) = match self.key {
            Key::Init(number) => (1, number),
            Key::Segment(number) => (2, number),
        };
        bytes[..4].copy_from_slice(&MAGIC);
        bytes[4] = kind;
        bytes[5..13].copy_from_slice(&number.to_le_bytes());
        bytes[13..17].copy_from_slice(&self.header_len.to_le_bytes());
        bytes[17..21].copy_from_slice(&self.payload_len.to_le_bytes());
        bytes[21..].copy_from_slice(&self.check);
        bytes
    }

    /// Reads a head; nothing when it is none.
    pub(crate) fn decode(bytes: &[u8; HEAD_BYTES]) -> Option<Self> {
        let number = u64::from_le_bytes(bytes[5..13].try_into().ok()?);
        let key = match (bytes[..4] == MAGIC, bytes[4]) {
            (true, 1) => Key::Init(number),
            (true, 2) => Key::Segment(number),
            _ => return None,
        };
        let header_len = u32::from_le_bytes(bytes[13..17].try_into().ok()?);
        let payload_len = u32::from_le_bytes(bytes[17..21].try_into().ok()?);
        let head = Self { key, header_len, payload_len, check: bytes[21..].try_into().ok()? };
        (head.body_len() <= BODY_BYTES_MAX).then_some(head)
    }

    /// Whether this is the body that was written with it.
    pub(crate) fn fits(&self, body: &[u8]) -> bool {
        body.len() as u64 == self.body_len() && self.check == check(self.key, self.header_len, body)
    }
}

fn check(key: Key, header_len: u32, body: &[u8]) -> [u8; 16] {
    let unchecked = Head { key, header_len, payload_len: 0, check: [0; 16] }.encode();
    let sum = hash(&[&hash(&unchecked)[..], &hash(body)[..]].concat());
    sum[..16].try_into().expect("16 of 32 bytes")
}

/// An item as head and body; nothing when it is larger than an entry can be.
pub(crate) fn of(item: &Item) -> Option<(Head, Vec<u8>)> {
    let (key, header, payload) = match item {
        Item::Init { id, encoded } => (Key::Init(init_number(*id)), &id.0[..], encoded),
        Item::Segment(segment) => (Key::Segment(segment.header.core.seq.0), &segment.encoded[..], &segment.payload),
    };
    let body = [header, payload].concat();
    if body.len() as u64 > BODY_BYTES_MAX {
        return None;
    }
    let (header_len, payload_len) = (header.len() as u32, payload.len() as u32);
    Some((Head { key, header_len, payload_len, check: check(key, header_len, &body) }, body))
}

pub(crate) fn init_number(id: InitId) -> u64 {
    u64::from_le_bytes(id.0[..8].try_into().expect("8 of 16 bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_read_as_it_was_written_and_anything_else_is_none() {
        let head = Head { key: Key::Segment(7), header_len: 3, payload_len: 9, check: [5; 16] };
        assert_eq!(Head::decode(&head.encode()), Some(head));
        assert_eq!(Head::decode(&[0; HEAD_BYTES]), None);
        let mut huge = head.encode();
        huge[13..17].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(Head::decode(&huge), None);
    }
}
