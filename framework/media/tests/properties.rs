//! Whatever comes in: the pieces make no difference, nothing panics, and the promises hold.

mod common;

use common::fixture;
use peerstream_media::fuzz::{check_promises, cut, fuzz_cut};
use proptest::prelude::*;

const MEDIA: [&str; 9] = [
    "h264-aac.mp4",
    "aac.mp4",
    "opus.mp4",
    "b-frames.mp4",
    "long-gop.mp4",
    "per-gop.mp4",
    "hevc.mp4",
    "new-init.mp4",
    "plain.mp4",
];

fn media() -> impl Strategy<Value = Vec<u8>> {
    prop::sample::select(&MEDIA[..]).prop_map(fixture)
}

#[test]
fn one_byte_at_a_time_gives_the_same_events() {
    for name in MEDIA {
        let input = fixture(name);
        assert_eq!(cut(&input, 1), cut(&input, usize::MAX), "{name}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn pieces_of_any_size_give_the_same_events(input in media(), len in 1usize..5000) {
        prop_assert_eq!(cut(&input, len), cut(&input, usize::MAX));
    }

    #[test]
    fn any_bytes_are_taken_or_refused(input in prop::collection::vec(any::<u8>(), 0..600)) {
        fuzz_cut(&input);
    }

    #[test]
    fn damaged_bytes_are_taken_or_refused(
        mut input in media(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..40),
        len in any::<u8>(),
    ) {
        for (at, byte) in damage {
            let at = at.index(input.len());
            input[at] = byte;
        }
        input.insert(0, len);
        fuzz_cut(&input);
    }

    #[test]
    fn damaged_headers_are_taken_or_refused(
        mut input in media(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), 0usize..64, any::<u8>()), 1..12),
    ) {
        // Near the name of a box, where numbers have a meaning.
        let names: [&[u8]; 8] = [b"moof", b"traf", b"tfhd", b"tfdt", b"trun", b"moov", b"stsd", b"mdat"];
        let places: Vec<_> = (0..input.len() - 4).filter(|&at| names.contains(&&input[at..at + 4])).collect();
        for (index, after, byte) in damage {
            let at = (places[index.index(places.len())].saturating_sub(4) + after).min(input.len() - 1);
            input[at] = byte;
        }
        input.insert(0, 255);
        fuzz_cut(&input);
    }

    #[test]
    fn lost_and_repeated_stretches_are_survived(
        input in media(),
        stretches in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 1..6),
    ) {
        let mut joined = vec![7];
        for (a, b) in stretches {
            let (a, b) = (a.index(input.len()), b.index(input.len()));
            joined.extend_from_slice(&input[a.min(b)..a.max(b)]);
        }
        fuzz_cut(&joined);
        joined.splice(1..1, input.iter().copied());
        fuzz_cut(&joined);
    }
}

#[test]
fn the_promises_hold_for_every_fixture() {
    for name in MEDIA {
        check_promises(&cut(&fixture(name), usize::MAX).0);
    }
}
