//! The evidence bundle: made, verified, and found out when somebody has touched it.

mod common;

use common::{broadcast, manifest};
use peerstream_recording::Item;
use peerstream_recording::bundle::{
    ATTACHMENTS_MAX, BundleError, Decoder, Encoder, Excerpt, Head, Inspection, Record, TooLarge, Verdict,
};
use peerstream_recording::fuzz::{fuzz_bundle, fuzz_lines};
use proptest::prelude::*;

fn bundle() -> Vec<u8> {
    let it = broadcast(1, 7, 12);
    let head = Head { meta: it.meta, manifest: Some(manifest(0, 12, &[])) };
    let (mut encoder, mut out) = Encoder::begin(&head).unwrap();
    for item in &it.items {
        out.extend(match item {
            Item::Init { id, encoded } => encoder.init(*id, encoded).unwrap(),
            Item::Segment(segment) if segment.header.core.seq.0 == 4 => {
                encoder.segment(&segment.encoded, None).unwrap()
            }
            Item::Segment(segment) => encoder.segment(&segment.encoded, Some(&segment.payload)).unwrap(),
        });
    }
    out.extend(encoder.attachment("statement.txt", b"I declare under penalty of perjury").unwrap());
    out.extend(encoder.attachment("receipt.json", b"{}").unwrap());
    out.extend(encoder.end().0);
    out
}

fn inspected(bytes: &[u8]) -> Result<Verdict, BundleError> {
    let mut inspection = Inspection::default();
    inspection.push(bytes)?;
    inspection.finish()
}

#[test]
fn a_bundle_verifies_offline_and_gives_its_attachments() {
    let verdict = inspected(&bundle()).unwrap();
    assert!(verdict.is_clean(), "{verdict}");
    assert_eq!(verdict.to_string(), "");
    assert_eq!((verdict.report.whole, verdict.report.withheld), (11, 1));
    let names: Vec<_> = verdict.attachments.iter().map(|attachment| attachment.name.as_str()).collect();
    assert_eq!(names, ["statement.txt", "receipt.json"]);
}

#[test]
fn what_can_be_played_is_one_header_and_the_segments_that_are_not_withheld() {
    let mut excerpt = Excerpt::default();
    let media = excerpt.push(&bundle()).unwrap();
    assert_eq!(excerpt.mime(), Some("video/mp4"));
    // The title changes in the middle, the codec does not; one of twelve is withheld.
    let expected = broadcast(1, 7, 12).items.into_iter().filter_map(|item| match item {
        Item::Segment(segment) if segment.header.core.seq.0 != 4 => Some(segment.payload.to_vec()),
        _ => None,
    });
    let expected: Vec<_> = std::iter::once(vec![1; 300]).chain(expected).collect();
    assert_eq!(media, expected);
    assert!(Excerpt::default().push(b"no bundle").is_err());
}

#[test]
fn a_bundle_that_was_touched_names_its_fault() {
    let whole = bundle();
    let find = |needle: &[u8]| whole.windows(needle.len()).position(|window| window == needle).unwrap();
    let mut statement = whole.clone();
    statement[find(b"perjury")] = b'P';
    assert!(inspected(&statement).unwrap().to_string().contains("attachment statement.txt: altered"));
    let mut title = whole.clone();
    title[find(b"Friday")] = b'f';
    assert!(inspected(&title).unwrap().to_string().contains("the bundle as a whole"));
    let mut cert = whole.clone();
    let at = find(b"\"cert\":\"") + 20;
    cert[at] = if cert[at] == b'0' { b'1' } else { b'0' };
    assert!(inspected(&cert).unwrap().unproven.is_some());
    // The last byte of the first segment with a payload.
    let mut payload = whole.clone();
    let it = broadcast(1, 7, 12);
    let Item::Segment(segment) = &it.items[2] else { unreachable!() };
    payload[find(&segment.payload) + 1] ^= 4;
    let said = inspected(&payload).unwrap().to_string();
    assert!(said.contains(" UTC: segment 1: altered: bytes 0 to 4096 of its payload"), "{said}");
}

#[test]
fn a_bundle_that_breaks_off_or_goes_on_says_where() {
    let whole = bundle();
    assert_eq!(inspected(&whole[..100]).unwrap_err(), BundleError::CutShort { at: 100 });
    assert_eq!(inspected(b"PSb").unwrap_err(), BundleError::CutShort { at: 3 });
    assert_eq!(inspected(b"RIFFRIFFRIFF").unwrap_err(), BundleError::NoBundle);
    assert_eq!(inspected(b"PSbundle\x02").unwrap_err(), BundleError::Version(2));
    let more = [&whole[..], b"x"].concat();
    assert!(matches!(inspected(&more).unwrap_err(), BundleError::Malformed { at, .. } if at == whole.len() as u64));
    let mut huge = whole[..9].to_vec();
    huge.extend([1, 255, 255, 255, 255]);
    assert!(matches!(inspected(&huge).unwrap_err(), BundleError::Malformed { at: 9, .. }));
}

#[test]
fn names_and_numbers_of_attachments_are_bounded() {
    let head = Head { meta: broadcast(1, 7, 1).meta, manifest: None };
    let (mut encoder, _) = Encoder::begin(&head).unwrap();
    for name in ["", "../x", "a/b", ".hidden", "é", &"x".repeat(129)] {
        assert!(matches!(encoder.attachment(name, b""), Err(TooLarge::Name(_))), "{name}");
    }
    (0..ATTACHMENTS_MAX).for_each(|n| drop(encoder.attachment(&format!("a{n}"), b"").unwrap()));
    assert_eq!(encoder.attachment("one-more", b""), Err(TooLarge::Attachments));
    assert!(matches!(encoder.segment(&[0; 8 << 20], None), Err(TooLarge::Record { .. })));
}

#[test]
fn records_come_out_as_they_went_in() {
    let bytes = bundle();
    let mut decoder = Decoder::default();
    let mut tags = Vec::new();
    for byte in &bytes {
        decoder.push(&[*byte]);
        while let Some(record) = decoder.poll().unwrap() {
            tags.push(match record {
                Record::Head(_) => 'h',
                Record::Init { .. } => 'i',
                Record::Segment { .. } => 's',
                Record::Attachment { intact, .. } => {
                    if intact {
                        'a'
                    } else {
                        '!'
                    }
                }
                Record::End { intact, .. } => {
                    if intact {
                        'e'
                    } else {
                        '!'
                    }
                }
            });
        }
    }
    assert_eq!(tags.into_iter().collect::<String>(), "hissssssissssssaae");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_one_byte_changed_anywhere_is_caught(at in 0usize..1 << 20, bit in 0u8..8) {
        let mut bytes = bundle();
        let at = at % bytes.len();
        bytes[at] ^= 1 << bit;
        let is_clean = inspected(&bytes).is_ok_and(|verdict| verdict.is_clean());
        prop_assert!(!is_clean, "byte {at}");
    }

    #[test]
    fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..600), cut in 0usize..4_000) {
        fuzz_bundle(&bytes);
        fuzz_lines(&bytes);
        let whole = bundle();
        fuzz_bundle(&[&whole[..cut.min(whole.len())], &bytes].concat());
        fuzz_bundle(&[&[7], &whole[..cut.min(whole.len())], &bytes[..]].concat());
    }
}
