//! Pictures: 64 bits that say where a picture becomes brighter to the right.

use std::path::Path;

use crate::align::{Prints, Sort};
use crate::decode::{Decoder, Problem};

/// Pictures that are looked at in each second.
const PER_SECOND: u32 = 4;
const WIDTH: usize = 9;
const HEIGHT: usize = 8;
const BYTES: usize = WIDTH * HEIGHT;
/// A picture whose brightest part is no brighter than its darkest one by so many of 255 says nothing.
const CONTRAST_MIN: u8 = 12;

/// Unrelated pictures differ in 0.38 of their bits, the same ones after coding and scaling in 0.02 to 0.06.
pub(crate) const SORT: Sort =
    Sort { per_second: PER_SECOND as f64, bits: 64, unrelated: 24, match_max: 0.1, unclear_max: 0.22 };

/// The prints of a file's pictures.
pub(crate) fn prints(decoder: &Decoder, file: &Path) -> Result<Prints, Problem> {
    let filter = format!("fps={PER_SECOND},scale={WIDTH}:{HEIGHT}:flags=area,format=gray");
    let output = ["-map", "0:V:0", "-vf", &filter, "-f", "rawvideo"];
    let count_max = decoder.seconds_max * u64::from(PER_SECOND);
    let mut prints = Vec::new();
    let note = decoder.read(file, &output, BYTES, count_max, |picture| {
        if picture.len() == BYTES {
            prints.push(print(picture));
        }
    })?;
    Ok(Prints { prints, note })
}

/// The print of a grey picture of 9 by 8.
fn print(picture: &[u8]) -> Option<u64> {
    let (darkest, brightest) = (picture.iter().min()?, picture.iter().max()?);
    if brightest - darkest < CONTRAST_MIN {
        return None;
    }
    let rows = picture.chunks_exact(WIDTH).flat_map(|row| row.windows(2));
    Some(rows.fold(0, |bits, pair| bits << 1 | u64::from(pair[0] < pair[1])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_print_says_where_it_becomes_brighter_and_grey_says_nothing() {
        let rising: Vec<u8> = (0..BYTES).map(|at| (at % WIDTH * 20) as u8).collect();
        assert_eq!(print(&rising), Some(u64::MAX));
        let falling: Vec<u8> = rising.iter().map(|level| 255 - level).collect();
        assert_eq!(print(&falling), Some(0));
        assert_eq!(print(&[100; BYTES]), None);
    }
}
