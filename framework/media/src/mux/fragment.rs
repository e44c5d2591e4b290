//! Writes fragments: `moof` and `mdat`.

use super::init::SYNC;
use super::write::{boxed, full, long, word, words};

/// The bytes before the media in an `mdat`.
const MDAT_HEADER: usize = 8;

const DATA_OFFSET: u32 = 0x01;
const FIRST_FLAGS: u32 = 0x04;
const DURATIONS: u32 = 0x100;
const SIZES: u32 = 0x200;
const SHIFTS: u32 = 0x800;

/// A sample as the fragment's header lists it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listed {
    /// In ticks.
    pub duration: u32,
    /// In bytes.
    pub size: u32,
    /// From decoding to showing, in ticks.
    pub shift: i32,
}

/// The samples of one track that go into one fragment.
#[derive(Debug, Default)]
pub struct Run {
    /// When the first one is decoded, in ticks.
    pub start: u64,
    /// The first one is a key frame and the others are not; sound has only key frames and does not say so.
    pub key: bool,
    /// In the order of decoding.
    pub samples: Vec<Listed>,
    /// Their bytes, one after another.
    pub media: Vec<u8>,
}

/// A run with its track's number and the duration its samples have unless they say otherwise.
pub type Numbered<'a> = (u32, u32, &'a Run);

/// A fragment of these runs, none of them empty.
pub fn fragment(sequence: u32, runs: &[Numbered<'_>]) -> Vec<u8> {
    let media: usize = runs.iter().map(|(.., run)| run.media.len()).sum();
    let mut out = Vec::with_capacity(media + 128 + 16 * runs.iter().map(|(.., run)| run.samples.len()).sum::<usize>());
    let mut offsets = Vec::new();
    boxed(&mut out, b"moof", |out| {
        full(out, b"mfhd", 0, 0, |out| word(out, sequence));
        for &(track, usual, run) in runs {
            boxed(out, b"traf", |out| offsets.push(part(out, track, usual, run)));
        }
    });
    let mut at = out.len() + MDAT_HEADER;
    for (place, (.., run)) in offsets.into_iter().zip(runs) {
        let offset = u32::try_from(at).expect("a fragment is bounded by the unit it travels in");
        out[place..place + 4].copy_from_slice(&offset.to_be_bytes());
        at += run.media.len();
    }
    boxed(&mut out, b"mdat", |out| runs.iter().for_each(|(.., run)| out.extend(&run.media)));
    out
}

/// One track's part; returns where the place of its media is to be written.
fn part(out: &mut Vec<u8>, track: u32, usual: u32, run: &Run) -> usize {
    let same_size = run.samples.windows(2).all(|pair| pair[0].size == pair[1].size).then(|| run.samples[0].size);
    let sizes = if same_size.is_none() { SIZES } else { 0 };
    let durations = if run.samples.iter().all(|sample| sample.duration == usual) { 0 } else { DURATIONS };
    let shifts = if run.samples.iter().all(|sample| sample.shift == 0) { 0 } else { SHIFTS };
    // 0x20000: places count from the start of this fragment. 0x10: all samples have this size.
    full(out, b"tfhd", 0, 0x2_0000 | if same_size.is_some() { 0x10 } else { 0 }, |out| {
        word(out, track);
        same_size.iter().for_each(|&size| word(out, size));
    });
    full(out, b"tfdt", 1, 0, |out| long(out, run.start));
    let first = if run.key { FIRST_FLAGS } else { 0 };
    let mut place = 0;
    full(out, b"trun", 1, DATA_OFFSET | first | durations | sizes | shifts, |out| {
        word(out, run.samples.len() as u32);
        place = out.len();
        word(out, 0);
        if run.key {
            word(out, SYNC);
        }
        for sample in &run.samples {
            let Listed { duration, size, shift } = *sample;
            let fields = [(durations, duration), (sizes, size), (shifts, shift as u32)];
            fields.into_iter().filter(|(flag, _)| *flag != 0).for_each(|(_, field)| words(out, [field]));
        }
    });
    place
}
