//! Takes the frames of AAC out of ADTS: bytes in, frames out, no input or output of its own.

use std::collections::VecDeque;

use bytes::{Buf as _, Bytes, BytesMut};

/// A header without its checksum.
const HEADER_BYTES: usize = 7;
/// This much without two frames in a row is no ADTS, in bytes.
const NO_FRAME_BYTES_MAX: usize = 64 * 1024;
/// Sampling rates have these numbers.
const RATES: u8 = 13;
/// Up to this number of a rate (24 kHz and lower) sound is coded for twice as much: HE-AAC.
const HALVED_RATES: std::ops::Range<u8> = 6..RATES;

/// Why bytes cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoAdts {
    /// There are no frames.
    Noise,
    /// Frames hold several blocks, which MP4 has no place for.
    SeveralBlocks,
    /// The channels are described in the sound itself.
    NoChannels,
}

/// How frames are coded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Coding {
    /// The object type, from 1; 2 is AAC-LC.
    object: u8,
    /// The number of the rate.
    rate: u8,
    /// The number of the arrangement of channels.
    channels: u8,
}

impl Coding {
    /// The `AudioSpecificConfig`. `he` says that the sound is HE-AAC, which ADTS itself does not tell; low rates are taken for it.
    pub fn configuration(self, he: bool) -> Vec<u8> {
        let Self { object, rate, channels } = self;
        let halved = object == 2 && (he || HALVED_RATES.contains(&rate)) && (3..RATES).contains(&rate);
        if !halved {
            return vec![object << 3 | rate >> 1, rate << 7 | channels << 3];
        }
        // Told in full: object 5 with the doubled rate, around AAC-LC.
        let doubled = rate - 3;
        let bits = 5_u32 << 27 | u32::from(rate) << 23 | u32::from(channels) << 19 | u32::from(doubled) << 15 | 2 << 10;
        bits.to_be_bytes().to_vec()
    }
}

/// A frame without its header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// How it is coded.
    pub coding: Coding,
    /// The coded sound; never empty.
    pub bytes: Bytes,
}

/// Reads frames.
#[derive(Debug, Default)]
pub struct Reader {
    buffer: BytesMut,
    ready: VecDeque<Frame>,
    /// How the last frame was coded, if it was where it was expected: another one like it needs no witness.
    in_step: Option<Coding>,
    passed: usize,
    /// Bytes passed over behind the first frame.
    damaged: u64,
}

struct Header {
    coding: Coding,
    len: usize,
    header_len: usize,
    blocks: u8,
}

impl Reader {
    /// Takes the next bytes, in pieces of any size.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), NoAdts> {
        self.buffer.extend_from_slice(bytes);
        while self.read_frame()? {}
        Ok(())
    }

    /// The next frame.
    pub fn poll(&mut self) -> Option<Frame> {
        self.ready.pop_front()
    }

    /// Bytes that belonged to no frame.
    pub fn damaged(&self) -> u64 {
        self.damaged
    }

    fn read_frame(&mut self) -> Result<bool, NoAdts> {
        if self.buffer.len() < HEADER_BYTES {
            return Ok(false);
        }
        let Some(header) = Header::read(&self.buffer) else {
            return self.pass();
        };
        // Out of step a frame counts only if another one like it follows.
        let known = self.in_step == Some(header.coding);
        if self.buffer.len() < header.len + if known { 0 } else { HEADER_BYTES } {
            return Ok(false);
        }
        if !known && Header::read(&self.buffer[header.len..]).is_none_or(|next| next.coding != header.coding) {
            return self.pass();
        }
        if header.blocks > 0 {
            return Err(NoAdts::SeveralBlocks);
        }
        if header.coding.channels == 0 {
            return Err(NoAdts::NoChannels);
        }
        let mut bytes = self.buffer.split_to(header.len).freeze();
        bytes.advance(header.header_len);
        self.in_step = Some(header.coding);
        self.passed = 0;
        if !bytes.is_empty() {
            self.ready.push_back(Frame { coding: header.coding, bytes });
        }
        Ok(true)
    }

    /// Passes over a byte, and then to where a header may begin.
    fn pass(&mut self) -> Result<bool, NoAdts> {
        self.in_step = None;
        let next = self.buffer[1..].iter().position(|&byte| byte == 0xff).map_or(self.buffer.len(), |at| at + 1);
        self.buffer.advance(next);
        self.passed += next;
        self.damaged += next as u64;
        if self.passed > NO_FRAME_BYTES_MAX { Err(NoAdts::Noise) } else { Ok(true) }
    }
}

impl Header {
    fn read(bytes: &[u8]) -> Option<Self> {
        let &[sync, flags, coding, more, length, rest, blocks, ..] = bytes else { return None };
        if sync != 0xff || flags & 0xf6 != 0xf0 {
            return None;
        }
        let coding =
            Coding { object: (coding >> 6) + 1, rate: coding >> 2 & 0xf, channels: (coding & 1) << 2 | more >> 6 };
        let len = usize::from(more & 3) << 11 | usize::from(length) << 3 | usize::from(rest) >> 5;
        let header_len = if flags & 1 == 1 { HEADER_BYTES } else { HEADER_BYTES + 2 };
        let fits = coding.rate < RATES && len >= header_len;
        fits.then_some(Self { coding, len, header_len, blocks: blocks & 3 })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use peerstream_media::format::Audio;

    use super::*;

    /// A frame of AAC-LC in stereo with this number of a rate.
    pub(crate) fn frame(rate: u8, body: &[u8]) -> Vec<u8> {
        let len = body.len() + HEADER_BYTES;
        let more = 0x80 | (len >> 11) as u8;
        let head = [0xff, 0xf1, 1 << 6 | rate << 2, more, (len >> 3) as u8, (len << 5) as u8 | 0x1f, 0xfc];
        [&head[..], body].concat()
    }

    fn frames(bytes: &[u8], piece: usize) -> Vec<Frame> {
        let mut reader = Reader::default();
        bytes.chunks(piece).for_each(|piece| reader.push(piece).unwrap());
        std::iter::from_fn(|| reader.poll()).collect()
    }

    #[test]
    fn frames_come_whole_however_the_bytes_are_divided() {
        let bytes: Vec<u8> = (1..20).flat_map(|n| frame(3, &vec![n; usize::from(n) * 20])).collect();
        let all = frames(&bytes, usize::MAX);
        assert_eq!((all.len(), all[4].bytes.len()), (19, 100));
        assert_eq!(all, frames(&bytes, 1));
        let audio = Audio::aac(&all[0].coding.configuration(false)).unwrap();
        assert_eq!((audio.rate(), audio.channels()), (48_000, 2));
    }

    #[test]
    fn noise_between_frames_is_passed_over() {
        // What looks like a header there announces some thousand bytes, which must be there before it is seen to be none.
        let after = frame(3, &[2; 100]).repeat(50);
        let bytes = [&frame(3, b"one").repeat(2)[..], b"\xff\xf1 noise", &after].concat();
        let mut reader = Reader::default();
        bytes.chunks(3).for_each(|piece| reader.push(piece).unwrap());
        let found = std::iter::from_fn(|| reader.poll()).filter(|frame| frame.bytes[..] == [2; 100]).count();
        assert!((49..=50).contains(&found) && reader.damaged() > 0, "{found}");
    }

    #[test]
    fn high_efficiency_is_told_in_full() {
        let coding = Coding { object: 2, rate: 6, channels: 2 };
        assert_eq!(coding.configuration(false), [0x2b, 0x11, 0x88, 0x00]);
        let audio = Audio::aac(&coding.configuration(false)).unwrap();
        assert_eq!(audio.rate(), 24_000, "the rate of the core");
        let plain = Coding { rate: 4, ..coding };
        assert_eq!(plain.configuration(false), [0x12, 0x10]);
        assert_eq!(Audio::aac(&plain.configuration(true)).unwrap().rate(), 44_100);
    }

    #[test]
    fn what_cannot_be_used_is_told() {
        let mut reader = Reader::default();
        assert!((0..20).any(|_| reader.push(&[0x33; 8192]) == Err(NoAdts::Noise)));
        let mut several = frame(3, b"x");
        several[6] |= 1;
        assert_eq!(Reader::default().push(&several.repeat(2)), Err(NoAdts::SeveralBlocks));
    }
}
