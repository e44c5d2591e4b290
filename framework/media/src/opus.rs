//! Reads Opus: its identification header, and how long a packet is.

use peerstream_traits::ingest::IngestError;

use crate::boxes::malformed;

/// Opus counts 48,000 samples a second, whatever it was made from.
pub const RATE: u32 = 48_000;
/// The longest packet, in samples: 120 ms.
const PACKET_MAX: u32 = 5_760;

/// The identification header of Ogg and RTMP (`OpusHead`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// Channels.
    pub channels: u8,
    /// Samples at the start that are not to be heard.
    pub pre_skip: u16,
    /// Samples per second of what was encoded; for people.
    pub input_rate: u32,
    /// To be added to the volume, in 1/256 dB.
    pub gain: i16,
    /// How channels are arranged.
    pub family: u8,
    /// For families other than 0: counts of streams and a number per channel.
    pub mapping: Vec<u8>,
}

impl Head {
    /// Reads an `OpusHead`, with its eight letters.
    pub fn read(head: &[u8]) -> Result<Self, IngestError> {
        let Some((&[version, channels, a, b, rate @ .., c, d, family], rest)) =
            head.strip_prefix(b"OpusHead").and_then(|rest| rest.split_first_chunk::<11>())
        else {
            return Err(malformed("Opus begins without its header ('OpusHead' expected)"));
        };
        if version >> 4 != 0 || channels == 0 {
            return Err(malformed(format!("an Opus header of version {version} with {channels} channels")));
        }
        let mapped = if family == 0 { 0 } else { 2 + usize::from(channels) };
        let mapping = rest.get(..mapped).ok_or_else(|| malformed("an Opus header is cut off"))?.to_vec();
        if family == 0 && channels > 2 {
            return Err(malformed(format!(
                "an Opus header has {channels} channels and does not say how they are arranged"
            )));
        }
        Ok(Self {
            channels,
            pre_skip: u16::from_le_bytes([a, b]),
            input_rate: u32::from_le_bytes(rate),
            gain: i16::from_le_bytes([c, d]),
            family,
            mapping,
        })
    }

    /// The same as the body of a `dOps` box.
    pub fn configuration(&self) -> Vec<u8> {
        let mut body = vec![0, self.channels];
        body.extend(self.pre_skip.to_be_bytes());
        body.extend(self.input_rate.to_be_bytes());
        body.extend(self.gain.to_be_bytes());
        body.push(self.family);
        body.extend(&self.mapping);
        body
    }
}

/// How long a packet lasts, in samples of 1/48,000 s; `None` for what is no packet.
pub fn duration(packet: &[u8]) -> Option<u32> {
    let &first = packet.first()?;
    let frame = match first >> 3 {
        silk @ 0..12 => [480, 960, 1920, 2880][usize::from(silk & 3)],
        hybrid @ 12..16 => [480, 960][usize::from(hybrid & 1)],
        celt => [120, 240, 480, 960][usize::from(celt & 3)],
    };
    let count = match first & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => u32::from(packet.get(1)? & 0x3f),
    };
    Some(frame * count).filter(|&duration| duration > 0 && duration <= PACKET_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEREO: &[u8] = b"OpusHead\x01\x02\x38\x01\x80\xbb\0\0\0\0\0";

    #[test]
    fn a_header_becomes_the_box_of_mp4() {
        let head = Head::read(STEREO).unwrap();
        assert_eq!((head.channels, head.pre_skip, head.input_rate), (2, 312, 48_000));
        assert_eq!(head.configuration(), [0, 2, 1, 0x38, 0, 0, 0xbb, 0x80, 0, 0, 0]);
    }

    #[test]
    fn a_header_that_is_none_is_refused() {
        assert!(Head::read(&STEREO[..18]).is_err());
        assert!(Head::read(b"OpusTags\x01\x02\x38\x01\x80\xbb\0\0\0\0\0").is_err());
        let surround = [&STEREO[..9], &[6], &STEREO[10..]].concat();
        assert!(Head::read(&surround).is_err(), "six channels without an arrangement");
    }

    #[test]
    fn the_length_of_a_packet_is_in_its_first_bytes() {
        assert_eq!(duration(&[0xfc, 1]), Some(960), "one frame of 20 ms");
        assert_eq!(duration(&[0xfd, 1]), Some(1920), "two of them");
        assert_eq!(duration(&[0xff, 6]), Some(5760), "six of them");
        assert_eq!(duration(&[0xff, 7]), None, "more than 120 ms");
        assert_eq!(duration(&[0x08]), Some(960));
        assert_eq!(duration(&[0xe0]), Some(120));
        assert_eq!(duration(&[]), None);
    }
}
