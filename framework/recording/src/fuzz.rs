//! The bodies of the fuzz targets: `cargo fuzz` needs only a shell around [`fuzz_bundle`] and [`fuzz_lines`].

use crate::bundle::{Excerpt, Inspection, Verdict};
use crate::playlist::{Named, Parts, part_name};
use crate::{LINE_BYTES, Line, Manifest, StreamMeta};

/// Verifies bytes as a bundle, whole and in pieces of a length taken from the first byte; panics if the two differ.
pub fn fuzz_bundle(data: &[u8]) {
    let Some((&first, input)) = data.split_first() else { return };
    let whole = inspected(input, usize::MAX);
    let pieces = inspected(input, usize::from(first) + 1);
    assert_eq!(whole, pieces, "pieces of {} bytes", usize::from(first) + 1);
    assert_eq!(played(input, usize::MAX), played(input, usize::from(first) + 1));
}

/// What can be played of it, in pieces of this length; nothing where it is no bundle.
fn played(input: &[u8], piece: usize) -> Option<(Option<String>, Vec<u8>)> {
    let (mut excerpt, mut media) = (Excerpt::default(), Vec::new());
    for bytes in input.chunks(piece.min(input.len().max(1))) {
        excerpt.push(bytes).ok()?.iter().for_each(|bytes| media.extend_from_slice(bytes));
    }
    Some((excerpt.mime().map(str::to_owned), media))
}

/// What becomes of it, in words.
fn inspected(input: &[u8], piece: usize) -> Result<(String, String), String> {
    let mut inspection = Inspection::default();
    for bytes in input.chunks(piece.min(input.len().max(1))) {
        inspection.push(bytes).map_err(|error| error.to_string())?;
    }
    let verdict: Verdict = inspection.finish().map_err(|error| error.to_string())?;
    Ok((verdict.to_string(), format!("{:?}", verdict.report)))
}

/// Reads bytes as the lines of an index, as addresses within a recording, and as the documents beside it; panics if a part is none that
/// can be asked for.
pub fn fuzz_lines(data: &[u8]) {
    let (lines, _) = data.as_chunks::<LINE_BYTES>();
    let mut lines: Vec<_> = lines.iter().map(Line::decode).collect();
    lines.sort_by_key(|line| line.seq);
    lines.dedup_by_key(|line| line.seq);
    let (mut parts, mut half) = (Parts::default(), Parts::default());
    for (at, line) in lines.iter().enumerate() {
        assert_eq!(Line::decode(&line.encode()), *line);
        parts.push(line);
        if at < lines.len() / 2 {
            half.push(line);
        }
    }
    parts.close();
    for part in parts.parts() {
        assert_eq!(Named::parse(&part_name(part.first, part.end)), Some(Named::Part(part.first, part.end)));
    }
    parts.forget_before(parts.next());
    half.number_like(&parts);
    let _ = (parts.playlist(true, ""), half.playlist(false, "?ticket=x"));
    let _ = std::str::from_utf8(data).map(Named::parse);
    let _ = serde_json::from_slice::<StreamMeta>(data).map(|meta| meta.prove());
    let _ = serde_json::from_slice::<Manifest>(data).map(|manifest| manifest.names(Default::default()));
}
