//! One entry of a block: a head of fixed size, then the signed header, then the payload.

use bytes::Bytes;
use peerstream_sdk::traits::archive::{Header, Segment};

/// Bytes of a head.
pub(crate) const HEAD_BYTES: usize = 4 + 1 + 8 + 4 + 4 + 8 + 8;
/// Header and payload of an entry are no larger, together, in bytes; a head that says more is damaged.
pub(crate) const BODY_BYTES_MAX: u64 = 16 * 1024 * 1024;

const MAGIC: [u8; 4] = *b"PSs1";

/// The first bytes of a BLAKE3 hash.
pub(crate) type Sum = [u8; 8];

/// The head of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) seq: u64,
    /// The numbers right before it were never handed over.
    pub(crate) follows_gap: bool,
    pub(crate) header_len: u32,
    pub(crate) payload_len: u32,
    /// Of the head's other bytes and of the signed header.
    pub(crate) header_sum: Sum,
    pub(crate) payload_sum: Sum,
}

impl Head {
    /// The head of a segment; nothing when it is larger than an entry can be.
    pub(crate) fn of(segment: &Segment, follows_gap: bool) -> Option<Self> {
        let (header_len, payload_len) = (segment.encoded.len(), segment.payload.len());
        if (header_len + payload_len) as u64 > BODY_BYTES_MAX {
            return None;
        }
        let mut head = Self {
            seq: segment.header.core.seq.0,
            follows_gap,
            header_len: header_len as u32,
            payload_len: payload_len as u32,
            header_sum: [0; 8],
            payload_sum: sum(&[&segment.payload]),
        };
        head.header_sum = head.expected_header_sum(&segment.encoded);
        Some(head)
    }

    pub(crate) fn body_len(&self) -> u64 {
        u64::from(self.header_len) + u64::from(self.payload_len)
    }

    pub(crate) fn entry_len(&self) -> u64 {
        HEAD_BYTES as u64 + self.body_len()
    }

    pub(crate) fn encode(&self) -> [u8; HEAD_BYTES] {
        let mut bytes = [0; HEAD_BYTES];
        bytes[..4].copy_from_slice(&MAGIC);
        bytes[4] = self.follows_gap.into();
        bytes[5..13].copy_from_slice(&self.seq.to_le_bytes());
        bytes[13..17].copy_from_slice(&self.header_len.to_le_bytes());
        bytes[17..21].copy_from_slice(&self.payload_len.to_le_bytes());
        bytes[21..29].copy_from_slice(&self.payload_sum);
        bytes[29..].copy_from_slice(&self.header_sum);
        bytes
    }

    /// Reads a head; nothing when it is none.
    pub(crate) fn decode(bytes: &[u8; HEAD_BYTES]) -> Option<Self> {
        if bytes[..4] != MAGIC || bytes[4] > 1 {
            return None;
        }
        let head = Self {
            follows_gap: bytes[4] == 1,
            seq: u64::from_le_bytes(bytes[5..13].try_into().ok()?),
            header_len: u32::from_le_bytes(bytes[13..17].try_into().ok()?),
            payload_len: u32::from_le_bytes(bytes[17..21].try_into().ok()?),
            payload_sum: bytes[21..29].try_into().ok()?,
            header_sum: bytes[29..].try_into().ok()?,
        };
        (head.body_len() <= BODY_BYTES_MAX).then_some(head)
    }

    fn expected_header_sum(&self, header: &[u8]) -> Sum {
        sum(&[&self.encode()[..HEAD_BYTES - 8], header])
    }

    /// The signed header, if these are the bytes that were written with this head.
    pub(crate) fn header(&self, body: &[u8]) -> Option<Header> {
        let encoded = body.get(..self.header_len as usize)?;
        let header = Header::decode(encoded).ok().filter(|_| self.header_sum == self.expected_header_sum(encoded))?;
        (header.core.seq.0 == self.seq).then_some(header)
    }

    /// Whether this is the payload that was written with this head.
    pub(crate) fn has_payload(&self, payload: &[u8]) -> bool {
        payload.len() == self.payload_len as usize && sum(&[payload]) == self.payload_sum
    }
}

pub(crate) fn sum(parts: &[&[u8]]) -> Sum {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize().as_bytes()[..8].try_into().expect("8 of 32 bytes")
}

/// An entry, read.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) header: Header,
    pub(crate) encoded: Bytes,
    pub(crate) payload: Bytes,
    /// Whether the payload is what was written.
    pub(crate) whole: bool,
    pub(crate) head: Head,
}

/// The entry that begins here; nothing when none is whole, but for its payload.
pub(crate) fn read(bytes: &Bytes) -> Option<Entry> {
    let head = Head::decode(bytes.first_chunk()?)?;
    if (bytes.len() as u64) < head.entry_len() {
        return None;
    }
    let mut encoded = bytes.slice(HEAD_BYTES..head.entry_len() as usize);
    let header = head.header(&encoded)?;
    let payload = encoded.split_off(head.header_len as usize);
    let whole = head.has_payload(&payload);
    Some(Entry { header, encoded, payload, whole, head })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_read_as_it_was_written_and_anything_else_is_none() {
        let head =
            Head { seq: 7, follows_gap: true, header_len: 3, payload_len: 9, header_sum: [5; 8], payload_sum: [6; 8] };
        assert_eq!(Head::decode(&head.encode()), Some(head));
        assert_eq!(Head::decode(&[0; HEAD_BYTES]), None);
        let mut huge = head.encode();
        huge[13..17].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(Head::decode(&huge), None);
    }
}
