//! Whatever comes in: nothing panics, the pieces make no difference, and the promises hold.

use peerstream_ingest_rtmp::fuzz::{fuzz_session, fuzz_tags};
use proptest::prelude::*;

/// The first messages of an encoder after its handshake, as ffmpeg sends them.
fn conversation() -> Vec<u8> {
    let text = |text: &str| [&[2][..], &(text.len() as u16).to_be_bytes(), text.as_bytes()].concat();
    let number = |number: f64| [&[0][..], &number.to_be_bytes()].concat();
    let app = [&[3, 0, 3][..], b"app", &text("live"), &[0, 0, 9]].concat();
    let connect = [text("connect"), number(1.0), app].concat();
    let publish = [text("publish"), number(3.0), vec![5], text("key"), text("live")].concat();
    let message = |kind: u8, payload: &[u8]| {
        let len = (payload.len() as u32).to_be_bytes();
        [&[3, 0, 0, 0, len[1], len[2], len[3], kind, 1, 0, 0, 0][..], payload].concat()
    };
    let video = [0x17, 1, 0, 0, 0, 1, 2, 3];
    [message(20, &connect), message(20, &publish), message(9, &video), message(8, &[0xaf, 1, 2])].concat()
}

/// Tags of an encoder, as [`fuzz_tags`] reads them.
fn tags() -> Vec<u8> {
    let tag = |audio: bool, step: u8, tag: &[u8]| [&[(tag.len() as u8) << 1 | u8::from(audio), step][..], tag].concat();
    let record = "0164000dffe1001a6764000dacd941419f9f0110000003001000000303c0f142996001000668ebe3cb22c0fdf8f800";
    let record: Vec<u8> =
        (0..record.len()).step_by(2).map(|at| u8::from_str_radix(&record[at..at + 2], 16).unwrap()).collect();
    let setup = [&[0x17, 0, 0, 0, 0][..], &record].concat();
    let mut tags = [tag(false, 0, &setup), tag(true, 0, &[0xaf, 0, 0x11, 0x90])].concat();
    for n in 0..30u8 {
        let first = if n % 10 == 0 { 0x17 } else { 0x27 };
        tags.extend(tag(false, 6, &[first, 1, 0, 0, n % 3 * 40, 9, 9, 9]));
        tags.extend(tag(true, 0, &[0xaf, 1, n, n]));
    }
    tags
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_bytes_of_an_encoder_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..800)) {
        fuzz_session(&bytes);
    }

    #[test]
    fn a_damaged_conversation_is_survived(
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..12),
        first in any::<u8>(),
    ) {
        let mut bytes = conversation();
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        bytes.insert(0, first & 0xfe);
        fuzz_session(&bytes);
    }

    #[test]
    fn any_tags_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..800)) {
        fuzz_tags(&bytes);
    }

    #[test]
    fn damaged_tags_are_survived(damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..20)) {
        let mut bytes = tags();
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        fuzz_tags(&bytes);
    }
}
