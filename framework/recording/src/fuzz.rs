//! The body of the fuzz target: `cargo fuzz` needs only a shell around [`fuzz_bundle`].

use crate::bundle::{Inspection, Verdict};

/// Verifies bytes as a bundle, whole and in pieces of a length taken from the first byte; panics if the two differ.
pub fn fuzz_bundle(data: &[u8]) {
    let Some((&first, input)) = data.split_first() else { return };
    let whole = inspected(input, usize::MAX);
    let pieces = inspected(input, usize::from(first) + 1);
    assert_eq!(whole, pieces, "pieces of {} bytes", usize::from(first) + 1);
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
