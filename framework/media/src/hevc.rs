//! Reads HEVC's configuration record (`hvcC`): how large the pictures are.

use peerstream_traits::ingest::IngestError;

use crate::avc::crop;
use crate::bits::Bits;
use crate::boxes::{Reader, malformed};

/// The type of a sequence parameter set.
const SEQUENCE: u8 = 33;
/// Bits of a profile, without its level.
const PROFILE_BITS: usize = 88;

/// Width and height of the pictures, in pixels.
pub fn size(record: &[u8]) -> Result<(u32, u32), IngestError> {
    let mut reader = Reader::new(record);
    reader.skip(22)?;
    for _ in 0..reader.u8()? {
        let kind = reader.u8()? & 0x3f;
        for _ in 0..reader.u16()? {
            let len = reader.u16()?;
            let set = reader.take(len.into())?;
            if kind == SEQUENCE {
                return sequence_parameters(&mut Bits::of_nal(set.get(2..).unwrap_or_default()));
            }
        }
    }
    Err(malformed("HEVC's configuration record (hvcC) holds no parameter set"))
}

fn sequence_parameters(bits: &mut Bits) -> Result<(u32, u32), IngestError> {
    bits.skip(4)?;
    let sub_layers = bits.number(3)? as usize;
    bits.skip(1 + PROFILE_BITS + 8)?;
    let mut extra = 0;
    for _ in 0..sub_layers {
        extra += if bits.flag()? { PROFILE_BITS } else { 0 };
        extra += if bits.flag()? { 8 } else { 0 };
    }
    bits.skip(extra + if sub_layers > 0 { 2 * (8 - sub_layers) } else { 0 })?;
    bits.golomb()?;
    let chroma = bits.golomb()?;
    if chroma == 3 {
        bits.skip(1)?;
    }
    let size = (bits.golomb()?, bits.golomb()?);
    let unit = (if chroma == 1 || chroma == 2 { 2 } else { 1 }, if chroma == 1 { 2 } else { 1 });
    crop(bits, size, unit)
}
