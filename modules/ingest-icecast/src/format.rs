//! What a source sends, by its first bytes.

/// So many bytes say for sure.
pub const FIRST_BYTES: usize = 64;

/// What a source sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Ogg with Opus.
    Opus,
    /// AAC in ADTS.
    Adts,
    /// Something ffmpeg must read: the name of its demuxer.
    Other(&'static str),
}

impl Format {
    /// By the first bytes of a body, which may be fewer than [`FIRST_BYTES`] only at its end.
    pub fn of(bytes: &[u8]) -> Option<Self> {
        match bytes {
            [b'O', b'g', b'g', b'S', ..] => {
                Some(if is_opus(first_packet(bytes)) { Self::Opus } else { Self::Other("ogg") })
            }
            [b'I', b'D', b'3', ..] => Some(Self::Other("mp3")),
            [0x1a, 0x45, 0xdf, 0xa3, ..] => Some(Self::Other("matroska")),
            [b'f', b'L', b'a', b'C', ..] => Some(Self::Other("flac")),
            _ => frames(bytes),
        }
    }

    /// Its name for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Opus => "Ogg/Opus",
            Self::Adts => "AAC",
            Self::Other("ogg") => "Ogg",
            Self::Other("mp3") => "MP3",
            Self::Other("matroska") => "WebM",
            Self::Other(_) => "FLAC",
        }
    }
}

/// Whether a stream's first packet says that it is Opus.
pub fn is_opus(packet: &[u8]) -> bool {
    packet.starts_with(b"OpusHead")
}

/// Whether a stream's first packet says that it is Vorbis.
pub fn is_vorbis(packet: &[u8]) -> bool {
    packet.starts_with(b"\x01vorbis")
}

fn first_packet(page: &[u8]) -> &[u8] {
    let segments = page.get(26).map_or(0, |&count| usize::from(count));
    page.get(27 + segments..).unwrap_or_default()
}

/// MP3 and ADTS begin alike; a client that joins in the middle may begin with a part of a frame.
fn frames(bytes: &[u8]) -> Option<Format> {
    let second = bytes.windows(2).find_map(|two| (two[0] == 0xff && two[1] & 0xe0 == 0xe0).then_some(two[1]))?;
    match second & 0xf6 {
        0xf0 => Some(Format::Adts),
        _ if second & 0x06 != 0 => Some(Format::Other("mp3")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_known_by_their_first_bytes() {
        let page = |packet: &[u8]| [b"OggS\0\x02".as_slice(), &[0; 20], &[1, 19], packet].concat();
        assert_eq!(Format::of(&page(b"OpusHead\x01\x02")), Some(Format::Opus));
        assert_eq!(Format::of(&page(b"\x01vorbis")), Some(Format::Other("ogg")));
        assert_eq!(Format::of(b"ID3\x04"), Some(Format::Other("mp3")));
        assert_eq!(Format::of(&[0xff, 0xfb, 0x90, 0x64]), Some(Format::Other("mp3")));
        assert_eq!(Format::of(&[0xff, 0xf1, 0x50, 0x80]), Some(Format::Adts));
        assert_eq!(Format::of(&[0xff, 0xf9, 0x50, 0x80]), Some(Format::Adts));
        assert_eq!(Format::of(b"RIFF....WAVE"), None);
        assert_eq!(Format::of(b""), None);
    }
}
