//! Fragments of real files, with holes cut into them.

use proptest::prelude::*;

use super::*;

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../media/tests/fixtures/");

/// A file's codec header and its fragments.
fn cut(name: &str) -> (Vec<u8>, Vec<Vec<u8>>) {
    let bytes = std::fs::read(format!("{FIXTURES}{name}")).unwrap();
    let (mut header, mut fragments) = (Vec::new(), Vec::<Vec<u8>>::new());
    for found in children(&bytes, 0..bytes.len()) {
        let part = &bytes[found.outer];
        match (&found.kind, fragments.last_mut()) {
            (b"moof", _) => fragments.push(part.to_vec()),
            (_, Some(last)) => last.extend(part),
            (_, None) => header.extend(part),
        }
    }
    (header, fragments)
}

fn tracks(fragment: &[u8], header: &[u8]) -> Vec<Track> {
    let defaults = default_durations(header);
    let moofs = children(fragment, 0..fragment.len()).filter(|found| found.kind == *b"moof");
    let trafs = moofs.flat_map(|moof| children(fragment, moof.inner).filter(|found| found.kind == *b"traf"));
    trafs.map(|traf| Track::read(fragment, traf.outer, &defaults).unwrap()).collect()
}

/// Where the bytes of each track's first run lie.
fn data_of(fragment: &[u8], header: &[u8]) -> Vec<usize> {
    tracks(fragment, header)
        .iter()
        .map(|track| u32_at(fragment, track.run.outer.start + 16).unwrap() as usize)
        .collect()
}

/// Some fragments as one segment.
fn segment(fragments: &[Vec<u8>]) -> Vec<u8> {
    fragments.concat()
}

#[test]
fn a_fragment_behind_a_hole_begins_where_the_one_before_ended_and_ends_as_it_did() {
    for name in ["h264-aac.mp4", "opus.mp4", "aac.mp4", "b-frames.mp4", "per-gop.mp4", "long-gop.mp4"] {
        let (header, fragments) = cut(name);
        let third = fragments.len() / 3;
        let (before, after) = (segment(&fragments[..third]), segment(&fragments[2 * third..]));
        let bridged = bridge(&header, &before, &after).unwrap_or_else(|| panic!("{name} is bridged"));
        let defaults = default_durations(&header);
        assert_eq!(ends(&bridged, &defaults), ends(&after, &defaults), "{name}");
        for (id, end) in ends(&before, &defaults).unwrap() {
            let first = tracks(&bridged, &header).into_iter().find(|track| track.id == id);
            assert_eq!(first.map_or(end, |track| track.begins), end, "track {id} of {name}");
        }
    }
}

#[test]
fn what_the_samples_are_made_of_stays_the_same() {
    let (header, fragments) = cut("h264-aac.mp4");
    let (before, after) = (&fragments[0], &fragments[fragments.len() - 1]);
    let bridged = bridge(&header, before, after).unwrap();
    let grown = bridged.len() - after.len();
    for (was, is) in data_of(after, &header).into_iter().zip(data_of(&bridged, &header)) {
        assert_eq!(is, was + grown);
        assert_eq!(bridged[is..is + 100], after[was..was + 100]);
    }
}

#[test]
fn without_a_hole_nothing_is_rewritten() {
    let (header, fragments) = cut("h264-aac.mp4");
    assert_eq!(bridge(&header, &segment(&fragments[..3]), &segment(&fragments[3..6])), None);
}

#[test]
fn what_is_no_fragmented_mp4_is_left_alone() {
    let (header, fragments) = cut("h264-aac.mp4");
    assert_eq!(bridge(&header, b"OggS", b"OggS and more"), None);
    assert_eq!(bridge(&header, &[], &fragments[4]), None, "nothing came before");
    assert_eq!(bridge(&header, &fragments[1], &fragments[4][..60]), None, "cut off");
}

proptest! {
    #[test]
    fn arbitrary_bytes_do_not_panic(data in proptest::collection::vec(any::<u8>(), 0..400)) {
        fuzz(&data);
    }

    #[test]
    fn damaged_fragments_do_not_panic(at in any::<prop::sample::Index>(), value in any::<u8>(), which in 1_usize..8) {
        let (header, fragments) = cut("h264-aac.mp4");
        let mut after = fragments[which].clone();
        // Damage where the boxes are.
        let place = at.index(after.len().min(400));
        after[place] = value;
        let bridged = bridge(&header, &fragments[0], &after);
        prop_assert!(bridged.is_none_or(|bridged| bridged.len() >= after.len()));
        let _ = bridge(&header, &after, &fragments[which]);
    }

    #[test]
    fn any_hole_is_bridged_exactly(first in 1_usize..20, lost in 1_usize..20, count in 1_usize..6) {
        let (header, fragments) = cut("h264-aac.mp4");
        let from = first + lost;
        prop_assume!(from + count <= fragments.len());
        // Every track has to have come before.
        let (before, after) = (segment(&fragments[..first]), segment(&fragments[from..from + count]));
        let defaults = default_durations(&header);
        let known = ends(&before, &defaults).unwrap();
        let bridged = bridge(&header, &before, &after).unwrap_or_else(|| after.clone());
        prop_assert_eq!(ends(&bridged, &defaults), ends(&after, &defaults));
        let mut seen = Vec::new();
        for track in tracks(&bridged, &header) {
            if !seen.contains(&track.id) && let Some(end) = known.get(&track.id) {
                prop_assert_eq!(track.begins, *end);
            }
            seen.push(track.id);
        }
    }
}
