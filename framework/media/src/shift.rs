//! Lets a part of a stream begin at zero: what is cut out of the middle becomes a file of its own.

use peerstream_traits::ingest::IngestError;

use crate::boxes::{Header, children, find, malformed};
use crate::fragment::Fragment;
use crate::init::Tracks;

const MICROS: u128 = 1_000_000;

/// Moves the times of fragments back by that of the first one, and numbers them from one.
#[derive(Clone, Debug)]
pub struct Shift {
    tracks: Tracks,
    /// The earliest time of the first fragment, in microseconds of the stream's clock.
    base_us: Option<u64>,
    fragments: u32,
}

impl Shift {
    /// For fragments of this codec header (`ftyp` and `moov`).
    pub fn new(init: &[u8]) -> Result<Self, IngestError> {
        let moov = find(init, b"moov")?.ok_or_else(|| malformed("a codec header has no 'moov' box"))?;
        Ok(Self { tracks: Tracks::read(moov.body)?, base_us: None, fragments: 0 })
    }

    /// The same one, going on where another one was: by its [`base_us`](Self::base_us) and how many payloads it had moved.
    #[must_use]
    pub fn resumed(mut self, base_us: Option<u64>, payloads: u32) -> Self {
        (self.base_us, self.fragments) = (base_us, payloads);
        self
    }

    /// What is taken from all times, in microseconds; none before the first fragment.
    pub fn base_us(&self) -> Option<u64> {
        self.base_us
    }

    /// A segment's payload, moved. What would begin before zero begins at zero.
    pub fn apply(&mut self, payload: &[u8]) -> Result<Vec<u8>, IngestError> {
        let mut moved = payload.to_vec();
        let mut at = 0;
        for child in children(payload) {
            let child = child?;
            let end = child.at + child.body.len();
            if &child.name == b"moof" {
                let header = Header::read(&payload[at..]).ok_or_else(|| malformed("a box header is cut off"))?;
                self.fragment(&mut moved[at..end], header.header_len)?;
            }
            at = end;
        }
        Ok(moved)
    }

    fn fragment(&mut self, moof: &mut [u8], header_len: usize) -> Result<(), IngestError> {
        let mut fragment = Fragment::read(moof, header_len, &self.tracks)?;
        let micros = |start: u64, timescale: u32| u128::from(start) * MICROS / u128::from(timescale);
        let first = fragment.parts.iter().map(|part| micros(part.start, part.timescale)).min().unwrap_or_default();
        let base_us = *self.base_us.get_or_insert(u64::try_from(first).unwrap_or(u64::MAX));
        for part in &mut fragment.parts {
            let base = u128::from(base_us) * u128::from(part.timescale) / MICROS;
            let start = part.start.saturating_sub(u64::try_from(base).unwrap_or(u64::MAX));
            part.move_to(moof, start)?;
        }
        self.fragments = self.fragments.wrapping_add(1);
        fragment.number(moof, self.fragments);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::mux::write::{boxed, full, long, word, words};

    /// A codec header of one track of sound with this clock, as short as can be read.
    fn init(timescale: u32) -> Vec<u8> {
        let audio = crate::format::Audio::opus(b"OpusHead\x01\x02\x38\x01\x80\xbb\0\0\0\0\0").unwrap();
        let mut init = crate::mux::init::init(None, Some(&audio));
        let at = init.windows(4).position(|four| four == b"mdhd").unwrap() + 16;
        init[at..at + 4].copy_from_slice(&timescale.to_be_bytes());
        init
    }

    fn payload(starts: &[u64]) -> Vec<u8> {
        let mut out = Vec::new();
        for &start in starts {
            boxed(&mut out, b"moof", |out| {
                full(out, b"mfhd", 0, 0, |out| word(out, 77));
                boxed(out, b"traf", |out| {
                    full(out, b"tfhd", 0, 0x2_0000, |out| word(out, crate::mux::AUDIO_ID));
                    full(out, b"tfdt", 1, 0, |out| long(out, start));
                    full(out, b"trun", 1, 0, |out| words(out, [1]));
                });
            });
            boxed(&mut out, b"mdat", |out| out.extend([7; 9]));
        }
        out
    }

    #[test]
    fn the_first_fragment_begins_at_zero_and_the_others_keep_their_distance() {
        let mut shift = Shift::new(&init(48_000)).unwrap();
        assert_eq!(shift.apply(&payload(&[96_000, 120_000])).unwrap().len(), payload(&[0, 0]).len());
        assert_eq!(shift.base_us(), Some(2_000_000));
        let moved = shift.apply(&payload(&[144_000])).unwrap();
        let mut expected = payload(&[48_000]);
        expected[20..24].copy_from_slice(&3u32.to_be_bytes());
        assert_eq!(moved, expected);
        let mut resumed = Shift::new(&init(48_000)).unwrap().resumed(shift.base_us(), 2);
        assert_eq!(resumed.apply(&payload(&[144_000])).unwrap(), expected);
    }

    #[test]
    fn what_cannot_be_read_is_an_error() {
        assert!(Shift::new(b"no header").is_err());
        let mut shift = Shift::new(&init(1000)).unwrap();
        assert!(shift.apply(b"\0\0\0\x60moof").is_err());
        assert_eq!(shift.apply(b"zero").unwrap(), b"zero", "no box, nothing to move");
    }

    proptest! {
        #[test]
        fn anything_is_moved_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200), at in 0usize..100) {
            let mut bent = payload(&[5, 9]);
            let at = at % bent.len();
            bent[at..].iter_mut().zip(&bytes).for_each(|(place, byte)| *place = *byte);
            [bytes, bent].iter().for_each(|bytes| crate::fuzz::fuzz_shift(bytes));
        }
    }
}
