//! Reads AV1's configuration record (`av1C`): how large the pictures are.

use peerstream_traits::ingest::IngestError;

use crate::bits::Bits;
use crate::boxes::{Reader, malformed};

/// The type of a sequence header among the units of a stream.
const SEQUENCE_HEADER: u8 = 1;

/// Width and height of the pictures, in pixels.
pub fn size(record: &[u8]) -> Result<(u32, u32), IngestError> {
    let mut reader = Reader::new(record);
    reader.skip(4)?;
    while reader.left() > 0 {
        let header = reader.u8()?;
        reader.skip(if header & 4 == 0 { 0 } else { 1 })?;
        let len = if header & 2 == 0 { reader.left() } else { leb128(&mut reader)? };
        let unit = reader.take(len)?;
        if header >> 3 & 15 == SEQUENCE_HEADER {
            return sequence_header(&mut Bits::new(unit));
        }
    }
    Err(malformed("AV1's configuration record (av1C) holds no sequence header"))
}

fn leb128(reader: &mut Reader<'_>) -> Result<usize, IngestError> {
    let mut number = 0;
    for byte in 0..4 {
        let next = reader.u8()?;
        number |= usize::from(next & 0x7f) << (7 * byte);
        if next & 0x80 == 0 {
            return Ok(number);
        }
    }
    Err(malformed("a unit of AV1's configuration record (av1C) is too long"))
}

fn sequence_header(bits: &mut Bits) -> Result<(u32, u32), IngestError> {
    bits.skip(4)?;
    if bits.flag()? {
        bits.skip(5)?;
    } else {
        operating_points(bits)?;
    }
    let (width_bits, height_bits) = (bits.number(4)? + 1, bits.number(4)? + 1);
    Ok((bits.number(width_bits)? + 1, bits.number(height_bits)? + 1))
}

fn operating_points(bits: &mut Bits) -> Result<(), IngestError> {
    let mut delay_bits = None;
    if bits.flag()? {
        bits.skip(64)?;
        if bits.flag()? {
            bits.golomb()?;
        }
        if bits.flag()? {
            delay_bits = Some(bits.number(5)? as usize + 1);
            bits.skip(42)?;
        }
    }
    let has_display_delay = bits.flag()?;
    for _ in 0..=bits.number(5)? {
        bits.skip(12)?;
        if bits.number(5)? > 7 {
            bits.skip(1)?;
        }
        if let Some(delay) = delay_bits
            && bits.flag()?
        {
            bits.skip(2 * delay + 1)?;
        }
        if has_display_delay && bits.flag()? {
            bits.skip(4)?;
        }
    }
    Ok(())
}
