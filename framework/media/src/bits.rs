//! Reads single bits, as the headers of codecs are written: bounded, never past the end, never a panic.

use peerstream_traits::ingest::IngestError;

use crate::boxes::malformed;

/// Reads bits from the front of some bytes, the highest of each byte first.
#[derive(Clone, Debug)]
pub struct Bits {
    bytes: Vec<u8>,
    at: usize,
}

impl Bits {
    /// Starts at the front.
    pub fn new(bytes: &[u8]) -> Self {
        Self { bytes: bytes.to_vec(), at: 0 }
    }

    /// The payload of a NAL unit: the bytes that only keep start codes from appearing are left out.
    pub fn of_nal(nal: &[u8]) -> Self {
        let mut bytes = Vec::with_capacity(nal.len());
        let mut zeros = 0;
        for &byte in nal {
            if zeros >= 2 && byte == 3 {
                zeros = 0;
                continue;
            }
            zeros = if byte == 0 { zeros + 1 } else { 0 };
            bytes.push(byte);
        }
        Self { bytes, at: 0 }
    }

    /// One bit.
    pub fn flag(&mut self) -> Result<bool, IngestError> {
        let byte = self.bytes.get(self.at / 8).ok_or_else(|| malformed("a codec header is cut off"))?;
        let bit = byte >> (7 - self.at % 8) & 1;
        self.at += 1;
        Ok(bit == 1)
    }

    /// A number of up to 32 bits.
    pub fn number(&mut self, count: u32) -> Result<u32, IngestError> {
        let mut number = 0u32;
        for _ in 0..count {
            number = number << 1 | u32::from(self.flag()?);
        }
        Ok(number)
    }

    /// Passes over some bits.
    pub fn skip(&mut self, count: usize) -> Result<(), IngestError> {
        self.at = self.at.saturating_add(count);
        if self.at > self.bytes.len().saturating_mul(8) {
            return Err(malformed("a codec header is cut off"));
        }
        Ok(())
    }

    /// An unsigned Exp-Golomb number.
    pub fn golomb(&mut self) -> Result<u32, IngestError> {
        let mut zeros = 0;
        while !self.flag()? {
            zeros += 1;
            if zeros > 31 {
                return Err(malformed("a codec header holds a number of more than 32 bits"));
            }
        }
        Ok(((1u32 << zeros) - 1).saturating_add(self.number(zeros)?))
    }

    /// A signed Exp-Golomb number.
    pub fn signed_golomb(&mut self) -> Result<i64, IngestError> {
        let code = i64::from(self.golomb()?);
        Ok(if code % 2 == 0 { -code / 2 } else { (code + 1) / 2 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_golomb_numbers_are_read_one_after_another() {
        // 1 010 011 00100 00101 and padding.
        let mut bits = Bits::new(&[0b1010_0110, 0b0100_0010, 0b1000_0000]);
        assert_eq!([0; 5].map(|_| bits.golomb().unwrap()), [0, 1, 2, 3, 4]);
        let mut bits = Bits::new(&[0b1010_0110, 0b0100_0010, 0b1000_0000]);
        assert_eq!([0; 5].map(|_| bits.signed_golomb().unwrap()), [0, 1, -1, 2, -2]);
    }

    #[test]
    fn bytes_that_keep_start_codes_away_are_left_out() {
        let mut bits = Bits::of_nal(&[0, 0, 3, 1, 0, 0, 3]);
        assert_eq!(bits.number(32).unwrap(), 0x0000_0100);
        assert_eq!(bits.number(8).unwrap(), 0);
        assert!(bits.flag().is_err());
    }

    #[test]
    fn the_end_is_an_error() {
        assert!(Bits::new(&[0; 3]).golomb().is_err());
        assert!(Bits::new(&[0; 16]).golomb().is_err());
        assert!(Bits::new(&[1]).skip(9).is_err());
    }
}
