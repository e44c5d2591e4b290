//! How a track is encoded: what a muxer must know before the first sample.

use peerstream_traits::ingest::IngestError;

use crate::boxes::{FourCc, malformed};
use crate::{aac, av1, avc, hevc, opus};

/// Larger configuration records are not taken, in bytes.
const RECORD_BYTES_MAX: usize = 16 * 1024;

/// Reads width and height, in pixels, from a configuration record.
type ReadSize = fn(&[u8]) -> Result<(u32, u32), IngestError>;

/// A track of pictures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Video {
    pub(crate) entry: FourCc,
    pub(crate) configuration: FourCc,
    pub(crate) record: Vec<u8>,
    width: u16,
    height: u16,
}

impl Video {
    /// H.264: an `avcC` record; samples are NAL units with their lengths before them.
    pub fn h264(record: &[u8]) -> Result<Self, IngestError> {
        Self::new((*b"avc1", *b"avcC"), record, avc::size)
    }

    /// HEVC: an `hvcC` record; samples are NAL units with their lengths before them.
    pub fn hevc(record: &[u8]) -> Result<Self, IngestError> {
        Self::new((*b"hvc1", *b"hvcC"), record, hevc::size)
    }

    /// AV1: an `av1C` record with the sequence header; samples are the units of a picture, without delimiters.
    pub fn av1(record: &[u8]) -> Result<Self, IngestError> {
        Self::new((*b"av01", *b"av1C"), record, av1::size)
    }

    fn new((entry, configuration): (FourCc, FourCc), record: &[u8], size: ReadSize) -> Result<Self, IngestError> {
        check_len(record)?;
        let (width, height) = size(record)?;
        let side = |pixels: u32| u16::try_from(pixels).ok().filter(|&pixels| pixels > 0);
        let (Some(width), Some(height)) = (side(width), side(height)) else {
            return Err(malformed(format!("pictures of {width}x{height} pixels, 1x1 to 65535x65535 expected")));
        };
        Ok(Self { entry, configuration, record: record.to_vec(), width, height })
    }

    /// Width and height of the pictures, in pixels.
    pub fn size(&self) -> (u16, u16) {
        (self.width, self.height)
    }
}

/// A track of sound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audio {
    pub(crate) codec: AudioCodec,
    pub(crate) rate: u32,
    pub(crate) channels: u16,
    /// How long a sample usually is, in ticks of `rate`.
    pub(crate) frame: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum AudioCodec {
    /// With the `AudioSpecificConfig`.
    Aac(Vec<u8>),
    /// With the body of `dOps`.
    Opus(Vec<u8>),
}

impl Audio {
    /// AAC: an `AudioSpecificConfig`; samples are raw frames without ADTS.
    pub fn aac(config: &[u8]) -> Result<Self, IngestError> {
        check_len(config)?;
        let aac::Setup { rate, channels, frame } = aac::Setup::read(config)?;
        Ok(Self { codec: AudioCodec::Aac(config.to_vec()), rate, channels, frame })
    }

    /// Opus: an `OpusHead`, as Ogg and RTMP have it; samples are packets.
    pub fn opus(head: &[u8]) -> Result<Self, IngestError> {
        check_len(head)?;
        let head = opus::Head::read(head)?;
        let (rate, channels) = (opus::RATE, head.channels.into());
        Ok(Self { codec: AudioCodec::Opus(head.configuration()), rate, channels, frame: 960 })
    }

    /// Ticks per second in which samples are counted.
    pub fn rate(&self) -> u32 {
        self.rate
    }

    /// Channels.
    pub fn channels(&self) -> u16 {
        self.channels
    }

    /// How long a sample lasts, in ticks; `None` for bytes that are no sample.
    pub(crate) fn duration(&self, sample: &[u8]) -> Option<u32> {
        match self.codec {
            AudioCodec::Aac(_) => (!sample.is_empty()).then_some(self.frame),
            AudioCodec::Opus(_) => opus::duration(sample),
        }
    }
}

fn check_len(record: &[u8]) -> Result<(), IngestError> {
    let len = record.len();
    if len > RECORD_BYTES_MAX {
        return Err(malformed(format!("a codec's configuration has {len} bytes, at most {RECORD_BYTES_MAX} expected")));
    }
    Ok(())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// As x264 writes it for 320x180 (12 rows are cut off), and x265 and SVT-AV1 for the same.
    const AVCC: &str = "0164000dffe1001a6764000dacd941419f9f0110000003001000000303c0f142996001000668ebe3cb22c0fdf8f800";
    const HVCC: &str = "0101600000009000000000003cf000fcfdf8f800000f03a00001001840010c01ffff01600000030090000003000003003c959809a10001002b42010101600000030090000003000003003ca00a080b9f796566924caf016808000003000800000300f040a2000100074401c172b46240";
    const AV1C: &str = "81000c000a0b000000043cfecc02f80040";

    fn bytes(hex: &str) -> Vec<u8> {
        (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
    }

    /// A record for tests that need one.
    pub(crate) fn avc_record() -> Vec<u8> {
        bytes(AVCC)
    }

    #[test]
    fn the_size_of_pictures_is_read_from_the_codec_header() {
        assert_eq!(Video::h264(&bytes(AVCC)).unwrap().size(), (320, 180));
        assert_eq!(Video::hevc(&bytes(HVCC)).unwrap().size(), (320, 180));
        assert_eq!(Video::av1(&bytes(AV1C)).unwrap().size(), (320, 180));
    }

    #[test]
    fn records_that_are_cut_off_are_refused() {
        let records = [(AVCC, Video::h264 as fn(&[u8]) -> _, 20), (HVCC, Video::hevc, 60), (AV1C, Video::av1, 12)];
        for (record, read, needed) in records {
            let record = bytes(record);
            assert!((0..needed).all(|len| read(&record[..len]).is_err()), "{record:?}");
        }
        assert!(Video::h264(&[1; RECORD_BYTES_MAX + 1]).unwrap_err().to_string().contains("at most 16384"));
    }
}
