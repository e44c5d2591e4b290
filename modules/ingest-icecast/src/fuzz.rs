//! The bodies of the fuzz targets: `cargo fuzz` needs only shells around them.

use bytes::BytesMut;
use peerstream_media::fuzz::check_promises;
use peerstream_sdk::traits::ingest::IngestEvent;

use crate::body::Chunked;
use crate::format::{Format, is_opus};
use crate::head::Head;
use crate::metadata::Update;
use crate::ogg::{self, PACKET_BYTES_MAX};
use crate::rewrap::Rewrap;

/// Reads bytes as Ogg, whole and in pieces of a length taken from the first byte, with checksums as they are and with all of them made
/// right; panics if the division matters or a promise breaks.
pub fn fuzz_ogg(data: &[u8]) {
    let Some((&first, input)) = data.split_first() else { return };
    let mended = mended(input);
    for input in [input, &mended] {
        let piece = usize::from(first) + 1;
        assert_eq!(packets(input, input.len().max(1)), packets(input, piece), "pieces of {piece} bytes");
        rewrapped(Rewrap::opus(0), input);
    }
}

/// The same with ADTS.
pub fn fuzz_adts(data: &[u8]) {
    let Some((&first, input)) = data.split_first() else { return };
    let he = first & 1 == 1;
    let whole = rewrapped(Rewrap::adts(he, 0), input);
    let mut pieces = Rewrap::adts(he, 0);
    if whole && input.chunks(usize::from(first) + 1).all(|piece| pieces.push(piece).is_ok()) {
        let mut at_once = Rewrap::adts(he, 0);
        assert!(at_once.push(input).is_ok());
        let all = |rewrap: &mut Rewrap| std::iter::from_fn(|| rewrap.poll()).collect::<Vec<_>>();
        assert_eq!(all(&mut at_once), all(&mut pieces));
    }
}

/// Reads bytes as the head of a request, with its body in chunks.
pub fn fuzz_http(data: &[u8]) {
    let _ = Format::of(data);
    if let Ok(Some((head, len))) = Head::read(data) {
        assert!(len <= data.len());
        let _ = head.credentials();
        let _ = Update::read(&head.query);
    }
    let (mut chunked, mut pending) = (Chunked::default(), BytesMut::new());
    let mut taken = 0;
    for piece in data.chunks(7) {
        pending.extend_from_slice(piece);
        while let Ok(Some(bytes)) = chunked.take(&mut pending) {
            if bytes.is_empty() {
                return;
            }
            taken += bytes.len();
        }
    }
    assert!(taken <= data.len());
}

/// All packets, and whether it was Ogg.
fn packets(input: &[u8], piece: usize) -> (Vec<ogg::Packet>, u64, bool) {
    let (mut reader, mut packets) = (ogg::Reader::new(is_opus), Vec::new());
    for piece in input.chunks(piece) {
        let is_ogg = reader.push(piece).is_ok();
        packets.extend(std::iter::from_fn(|| reader.poll()));
        if !is_ogg {
            return (Vec::new(), 0, false);
        }
    }
    assert!(packets.iter().all(|packet| packet.bytes.len() <= PACKET_BYTES_MAX));
    (packets, reader.damaged(), true)
}

/// Rewraps all of it; false if that failed.
fn rewrapped(mut rewrap: Rewrap, input: &[u8]) -> bool {
    let good = rewrap.push(input).is_ok();
    rewrap.finish();
    let events = std::iter::from_fn(|| rewrap.poll());
    let events: Vec<_> = events.filter(|event| !matches!(event, IngestEvent::Title(_))).collect();
    check_promises(&events);
    good
}

/// The same with the right checksum in every page, so that what is behind them is reached.
fn mended(input: &[u8]) -> Vec<u8> {
    let mut bytes = input.to_vec();
    let mut at = 0;
    while let Some(found) = bytes[at..].windows(4).position(|four| four == b"OggS") {
        at += found;
        let Some(&count) = bytes.get(at + 26) else { break };
        let Some(segments) = bytes.get(at + 27..at + 27 + usize::from(count)) else { break };
        let len = 27 + segments.len() + segments.iter().map(|&len| usize::from(len)).sum::<usize>();
        let Some(page) = bytes.get_mut(at..at + len) else { break };
        let sum = ogg::checksum(page);
        page[22..26].copy_from_slice(&sum.to_le_bytes());
        at += len;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::adts::tests::frame;
    use crate::ogg::tests::page;

    /// Pages with heads, tags and packets in any order, some of them wrong.
    fn pages() -> impl Strategy<Value = Vec<u8>> {
        let body = prop_oneof![
            Just(b"OpusHead\x01\x02\x38\x01\x80\xbb\0\0\0\0\0".to_vec()),
            Just(b"OpusTags\x02\0\0\0xx\x01\0\0\0\x07\0\0\0title=x".to_vec()),
            prop::collection::vec(any::<u8>(), 0..200),
            prop::collection::vec(any::<u8>(), 1..200).prop_map(|body| [vec![0xfc], body].concat()),
        ];
        let one = (0_u8..8, 0_u32..3, 0_u32..6, body)
            .prop_map(|(flags, serial, number, body)| page(flags, serial, number, &[body.len() as u8], &body));
        prop::collection::vec(one, 0..20).prop_map(|pages| pages.concat())
    }

    proptest! {
        #[test]
        fn any_ogg_keeps_its_promises(piece in any::<u8>(), pages in pages(), at in any::<usize>(), flip in any::<u8>()) {
            let mut data = [vec![piece], pages].concat();
            let at = at % data.len();
            data[at] ^= flip;
            fuzz_ogg(&data);
        }

        #[test]
        fn any_adts_keeps_its_promises(
            first in any::<u8>(),
            frames in prop::collection::vec((0_u8..14, 0_usize..300), 0..20),
            noise in prop::collection::vec(any::<u8>(), 0..20),
            at in any::<usize>(),
        ) {
            let mut data = vec![first];
            frames.iter().for_each(|&(rate, len)| data.extend(frame(rate, &vec![0x5a; len])));
            let at = at % (data.len() + 1);
            data.splice(at..at, noise);
            fuzz_adts(&data);
        }

        #[test]
        fn any_head_is_read_or_refused(data in prop::collection::vec(any::<u8>(), 0..400), query in "[ -~]{0,80}") {
            fuzz_http(&data);
            fuzz_http(format!("GET /admin/metadata?{query} HTTP/1.1\r\nAuthorization: Basic {query}\r\n\r\n").as_bytes());
        }
    }
}
