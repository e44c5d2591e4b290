//! The body of the fuzz target: `cargo fuzz` needs only a shell around [`fuzz_rtp`].

use std::time::Duration;

use bytes::Bytes;

use crate::pictures::Pictures;
use crate::reorder::{Ordered, Reorder};

/// Takes bytes for packets of RTP: number, count, marker, length and payload of each. Panics if a promise breaks.
pub fn fuzz_rtp(mut data: &[u8]) {
    let (mut reorder, mut pictures) = (Reorder::default(), Pictures::default());
    let mut now = Duration::ZERO;
    while let Some((&[a, b, count, marker, len], rest)) = data.split_first_chunk::<5>() {
        let (payload, rest) = rest.split_at(usize::from(len).min(rest.len()));
        data = rest;
        now += Duration::from_millis(u64::from(marker & 0x7f));
        let packet = (u32::from(count), marker & 0x80 != 0, Bytes::copy_from_slice(payload));
        for ordered in reorder.push(u16::from_be_bytes([a, b]), packet, now) {
            match ordered {
                Ordered::Packet((count, last, payload)) => {
                    if let Some(picture) = pictures.push(count, last, &payload) {
                        assert!(!picture.bytes.is_empty());
                    }
                }
                Ordered::Lost(count) => {
                    assert!(count > 0);
                    pictures.lost();
                }
            }
        }
    }
    let _ = pictures.record();
}

#[cfg(test)]
mod tests {
    proptest::proptest! {
        #[test]
        fn no_packets_make_it_panic(data in proptest::collection::vec(0u8.., 0..2_000)) {
            super::fuzz_rtp(&data);
        }
    }
}
