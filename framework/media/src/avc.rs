//! Reads H.264's configuration record (`avcC`): how large the pictures are.

use peerstream_traits::ingest::IngestError;

use crate::bits::Bits;
use crate::boxes::{Reader, malformed};

/// Profiles whose parameter sets say more about colours.
const HIGH: [u32; 13] = [100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135];

/// Width and height of the pictures, in pixels.
pub fn size(record: &[u8]) -> Result<(u32, u32), IngestError> {
    let mut reader = Reader::new(record);
    if reader.u8()? != 1 {
        return Err(malformed("H.264's configuration record (avcC) is of an unknown version"));
    }
    reader.skip(4)?;
    if reader.u8()? & 0x1f == 0 {
        return Err(malformed("H.264's configuration record (avcC) holds no parameter set"));
    }
    let len = reader.u16()?;
    let set = reader.take(len.into())?;
    sequence_parameters(&mut Bits::of_nal(set.get(1..).unwrap_or_default()))
}

fn sequence_parameters(bits: &mut Bits) -> Result<(u32, u32), IngestError> {
    let profile = bits.number(8)?;
    bits.skip(16)?;
    bits.golomb()?;
    let chroma = if HIGH.contains(&profile) { high(bits)? } else { 1 };
    bits.golomb()?;
    picture_order(bits)?;
    bits.golomb()?;
    bits.skip(1)?;
    let width = bits.golomb()?.saturating_add(1).saturating_mul(16);
    let rows = bits.golomb()?.saturating_add(1).saturating_mul(16);
    let frames_only = bits.flag()?;
    bits.skip(if frames_only { 1 } else { 2 })?;
    let fields = if frames_only { 1 } else { 2 };
    let unit = (if chroma == 1 || chroma == 2 { 2 } else { 1 }, if chroma == 1 { 2 * fields } else { fields });
    crop(bits, (width, rows.saturating_mul(fields)), unit)
}

/// Takes away what is decoded and not shown; `unit` says in which steps.
pub fn crop(bits: &mut Bits, size: (u32, u32), unit: (u32, u32)) -> Result<(u32, u32), IngestError> {
    if !bits.flag()? {
        return Ok(size);
    }
    let [left, right, top, bottom] = [bits.golomb()?, bits.golomb()?, bits.golomb()?, bits.golomb()?];
    let less = |whole: u32, a: u32, b: u32, unit: u32| whole.saturating_sub(a.saturating_add(b).saturating_mul(unit));
    Ok((less(size.0, left, right, unit.0), less(size.1, top, bottom, unit.1)))
}

/// What the high profiles say more; returns the format of the colours.
fn high(bits: &mut Bits) -> Result<u32, IngestError> {
    let chroma = bits.golomb()?;
    let separate = chroma == 3 && bits.flag()?;
    bits.golomb()?;
    bits.golomb()?;
    bits.skip(1)?;
    if bits.flag()? {
        for list in 0..if chroma == 3 { 12 } else { 8 } {
            if bits.flag()? {
                scaling_list(bits, if list < 6 { 16 } else { 64 })?;
            }
        }
    }
    Ok(if separate { 0 } else { chroma })
}

fn scaling_list(bits: &mut Bits, len: usize) -> Result<(), IngestError> {
    let (mut last, mut next) = (8i64, 8i64);
    for _ in 0..len {
        if next != 0 {
            next = (last + bits.signed_golomb()?).rem_euclid(256);
        }
        last = if next == 0 { last } else { next };
    }
    Ok(())
}

fn picture_order(bits: &mut Bits) -> Result<(), IngestError> {
    match bits.golomb()? {
        0 => bits.golomb().map(|_| ()),
        1 => {
            bits.skip(1)?;
            bits.golomb()?;
            bits.golomb()?;
            let count = bits.golomb()?;
            if count > 255 {
                return Err(malformed("H.264's parameter set is damaged"));
            }
            (0..count).try_for_each(|_| bits.golomb().map(|_| ()))
        }
        _ => Ok(()),
    }
}
