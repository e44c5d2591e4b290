//! Reads AAC's setup (`AudioSpecificConfig`): rate, channels and how long a frame is.

use peerstream_traits::ingest::IngestError;

use crate::bits::Bits;
use crate::boxes::malformed;

/// The rates that have a number, in samples per second.
const RATES: [u32; 13] =
    [96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350];
/// Channels of the arrangements that have a number; those of number 0 are described elsewhere, mostly two.
const CHANNELS: [u16; 16] = [2, 1, 2, 3, 4, 5, 6, 8, 2, 2, 2, 7, 8, 24, 8, 2];

/// What AAC's setup says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setup {
    /// Samples per second of the core, which counts the times; the output of HE-AAC has twice as many.
    pub rate: u32,
    /// Channels.
    pub channels: u16,
    /// Samples of the core in a frame.
    pub frame: u32,
}

impl Setup {
    /// Reads an `AudioSpecificConfig`.
    pub fn read(config: &[u8]) -> Result<Self, IngestError> {
        let mut bits = Bits::new(config);
        let mut object = object_type(&mut bits)?;
        let rate = rate(&mut bits)?;
        let channels = CHANNELS[bits.number(4)? as usize];
        if object == 5 || object == 29 {
            self::rate(&mut bits)?;
            object = object_type(&mut bits)?;
        }
        let short = bits.flag()?;
        let frame = match (object, short) {
            (23 | 39, false) => 512,
            (23 | 39, true) => 480,
            (_, false) => 1024,
            (_, true) => 960,
        };
        Ok(Self { rate, channels, frame })
    }
}

fn object_type(bits: &mut Bits) -> Result<u32, IngestError> {
    match bits.number(5)? {
        31 => Ok(32 + bits.number(6)?),
        object => Ok(object),
    }
}

fn rate(bits: &mut Bits) -> Result<u32, IngestError> {
    let index = bits.number(4)?;
    let rate = if index == 15 { bits.number(24)? } else { RATES.get(index as usize).copied().unwrap_or(0) };
    if !(7_000..=96_000).contains(&rate) {
        return Err(malformed(format!("AAC with {rate} samples per second, 7350 to 96000 expected")));
    }
    Ok(rate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_and_high_efficiency_setups_are_read() {
        assert_eq!(Setup::read(&[0x11, 0x90]).unwrap(), Setup { rate: 48_000, channels: 2, frame: 1024 });
        assert_eq!(Setup::read(&[0x12, 0x08]).unwrap(), Setup { rate: 44_100, channels: 1, frame: 1024 });
        // HE-AAC with its extension told: 24 kHz inside, 48 kHz out.
        assert_eq!(Setup::read(&[0x2b, 0x11, 0x88, 0x00]).unwrap(), Setup { rate: 24_000, channels: 2, frame: 1024 });
        assert!(Setup::read(&[0x17, 0x10]).is_err(), "rate number 14");
        assert!(Setup::read(&[0x11]).is_err());
    }
}
