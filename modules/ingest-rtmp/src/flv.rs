//! What RTMP's messages of sound and pictures hold: FLV's tags, classic and enhanced.

use bytes::Bytes;
use peerstream_media::boxes::{FourCc, letters};

/// A codec by its name for people, and whether it can be passed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Codec {
    /// With an `avcC` record.
    H264,
    /// With an `hvcC` record.
    Hevc,
    /// With an `av1C` record.
    Av1,
    /// With an `AudioSpecificConfig`.
    Aac,
    /// With an `OpusHead`.
    Opus,
    /// Any other.
    Other(String),
}

/// What a part of a tag holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// The codec's configuration.
    Setup(Bytes),
    /// A sample.
    Sample {
        /// From decoding to showing, in milliseconds.
        shift_ms: i32,
        /// It needs no other.
        key: bool,
        /// The sample.
        bytes: Bytes,
    },
}

/// What a tag says of one track.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// The number of the track; 0 where there is only one.
    pub track: u8,
    /// How it is encoded.
    pub codec: Codec,
    /// The bytes.
    pub content: Content,
}

/// More tracks in a tag are not looked at.
const PARTS_MAX: usize = 32;

const KEY: u8 = 1;
const COMMAND: u8 = 5;
const CLASSIC_AVC: u8 = 7;
const CLASSIC_HEVC: u8 = 12;
const CLASSIC_AAC: u8 = 10;
const ENHANCED_AUDIO: u8 = 9;

const SETUP: u8 = 0;
const FRAMES: u8 = 1;
const FRAMES_UNSHIFTED: u8 = 3;
const MULTITRACK: u8 = 5;
const VIDEO_MULTITRACK: u8 = 6;
const EXTENSION: u8 = 7;

/// Reads a tag of pictures; `None` for what is cut off. Parts that say nothing about samples are left out.
pub fn video(tag: &Bytes) -> Option<Vec<Part>> {
    let mut reader = Reader(tag.clone());
    let first = reader.u8()?;
    let frame = first >> 4 & 7;
    if first & 0x80 == 0 {
        return classic_video(reader, frame, first & 15);
    }
    let packet = extensions(&mut reader, first & 15)?;
    if frame == COMMAND {
        return Some(Vec::new());
    }
    enhanced(reader, packet, packet == VIDEO_MULTITRACK, |codec, packet, bytes| {
        video_content(codec, packet, frame == KEY, bytes)
    })
}

/// Reads a tag of sound; `None` for what is cut off. Parts that say nothing about samples are left out.
pub fn audio(tag: &Bytes) -> Option<Vec<Part>> {
    let mut reader = Reader(tag.clone());
    let first = reader.u8()?;
    if first >> 4 != ENHANCED_AUDIO {
        return classic_audio(reader, first >> 4);
    }
    let packet = extensions(&mut reader, first & 15)?;
    enhanced(reader, packet, packet == MULTITRACK, |_, packet, bytes| match packet {
        SETUP => Some(Some(Content::Setup(bytes))),
        FRAMES => Some(Some(sample(0, true, bytes))),
        _ => Some(None),
    })
}

fn classic_video(mut reader: Reader, frame: u8, codec: u8) -> Option<Vec<Part>> {
    let codec = match codec {
        CLASSIC_AVC => Codec::H264,
        CLASSIC_HEVC => Codec::Hevc,
        _ if frame == COMMAND => return Some(Vec::new()),
        2 => Codec::Other("Sorenson H.263".into()),
        4 | 5 => Codec::Other("VP6".into()),
        other => Codec::Other(format!("number {other}")),
    };
    if frame == COMMAND {
        return Some(Vec::new());
    }
    if let Codec::Other(_) = codec {
        return Some(vec![Part { track: 0, codec, content: sample(0, false, reader.0) }]);
    }
    let packet = reader.u8()?;
    let shift_ms = reader.i24()?;
    let content = match packet {
        0 => Content::Setup(reader.0),
        1 => sample(shift_ms, frame == KEY, reader.0),
        _ => return Some(Vec::new()),
    };
    Some(vec![Part { track: 0, codec, content }])
}

fn classic_audio(mut reader: Reader, format: u8) -> Option<Vec<Part>> {
    let codec = match format {
        CLASSIC_AAC => Codec::Aac,
        2 | 14 => Codec::Other("MP3".into()),
        11 => Codec::Other("Speex".into()),
        0 | 1 | 3 => Codec::Other("PCM".into()),
        7 | 8 => Codec::Other("G.711".into()),
        other => Codec::Other(format!("number {other}")),
    };
    let content = match codec {
        Codec::Aac if reader.u8()? == 0 => Content::Setup(reader.0),
        _ => sample(0, true, reader.0),
    };
    Some(vec![Part { track: 0, codec, content }])
}

/// Passes over what later versions of the format put before the packet; returns the packet's kind.
fn extensions(reader: &mut Reader, mut packet: u8) -> Option<u8> {
    while packet == EXTENSION {
        let mut len = usize::from(reader.u8()?) + 1;
        if len == 256 {
            len = usize::from(reader.u16()?) + 1;
        }
        reader.take(len)?;
        packet = reader.u8()? & 15;
    }
    Some(packet)
}

/// The codec, the packet's kind and its bytes; `None` for what is cut off, `Some(None)` for what says nothing.
type ReadContent<'a> = &'a dyn Fn(&Codec, u8, Bytes) -> Option<Option<Content>>;

fn enhanced(
    mut reader: Reader,
    packet: u8,
    multitrack: bool,
    read: impl Fn(&Codec, u8, Bytes) -> Option<Option<Content>>,
) -> Option<Vec<Part>> {
    if multitrack {
        return several(reader, &read);
    }
    let codec = codec(reader.letters()?);
    let content = read(&codec, packet, reader.0)?;
    Some(content.into_iter().map(|content| Part { track: 0, codec: codec.clone(), content }).collect())
}

/// One track with its number, several of one codec, or several of several codecs.
fn several(mut reader: Reader, read: ReadContent<'_>) -> Option<Vec<Part>> {
    let kinds = reader.u8()?;
    let (arrangement, packet) = (kinds >> 4, kinds & 15);
    let shared = if arrangement < 2 { Some(codec(reader.letters()?)) } else { None };
    let mut parts = Vec::new();
    while !reader.0.is_empty() && parts.len() < PARTS_MAX {
        let codec = match &shared {
            Some(codec) => codec.clone(),
            None => codec(reader.letters()?),
        };
        let track = reader.u8()?;
        let bytes = if arrangement == 0 {
            std::mem::take(&mut reader.0)
        } else {
            let len = reader.u24()? as usize;
            reader.take(len)?
        };
        let content = read(&codec, packet, bytes)?;
        parts.extend(content.map(|content| Part { track, codec, content }));
    }
    Some(parts)
}

fn video_content(codec: &Codec, packet: u8, key: bool, bytes: Bytes) -> Option<Option<Content>> {
    let mut reader = Reader(bytes);
    Some(match packet {
        SETUP => Some(Content::Setup(reader.0)),
        FRAMES => {
            let shifted = matches!(codec, Codec::H264 | Codec::Hevc);
            let shift_ms = if shifted { reader.i24()? } else { 0 };
            Some(sample(shift_ms, key, reader.0))
        }
        FRAMES_UNSHIFTED => Some(sample(0, key, reader.0)),
        _ => None,
    })
}

fn sample(shift_ms: i32, key: bool, bytes: Bytes) -> Content {
    Content::Sample { shift_ms, key, bytes }
}

fn codec(name: FourCc) -> Codec {
    match &name {
        b"avc1" => Codec::H264,
        b"hvc1" => Codec::Hevc,
        b"av01" => Codec::Av1,
        b"mp4a" => Codec::Aac,
        b"Opus" => Codec::Opus,
        b"vp08" => Codec::Other("VP8".into()),
        b"vp09" => Codec::Other("VP9".into()),
        b"vvc1" => Codec::Other("VVC".into()),
        b"fLaC" => Codec::Other("FLAC".into()),
        b".mp3" => Codec::Other("MP3".into()),
        b"ac-3" | b"ec-3" => Codec::Other("Dolby audio".into()),
        _ => Codec::Other(format!("'{}'", letters(name))),
    }
}

struct Reader(Bytes);

impl Reader {
    fn take(&mut self, len: usize) -> Option<Bytes> {
        (len <= self.0.len()).then(|| self.0.split_to(len))
    }

    fn letters(&mut self) -> Option<FourCc> {
        self.take(4)?.first_chunk().copied()
    }

    fn u8(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    fn u16(&mut self) -> Option<u16> {
        self.take(2)?.first_chunk().copied().map(u16::from_be_bytes)
    }

    fn u24(&mut self) -> Option<u32> {
        let bytes = self.take(3)?;
        Some(u32::from_be_bytes([0, bytes[0], bytes[1], bytes[2]]))
    }

    /// Three bytes with a sign.
    fn i24(&mut self) -> Option<i32> {
        self.u24().map(|number| (number << 8) as i32 >> 8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag(bytes: &[&[u8]]) -> Bytes {
        bytes.concat().into()
    }

    fn part(track: u8, codec: Codec, content: Content) -> Part {
        Part { track, codec, content }
    }

    #[test]
    fn classic_tags_of_h264_and_aac_are_read() {
        let setup = video(&tag(&[&[0x17, 0, 0, 0, 0, 1, 2]])).unwrap();
        assert_eq!(setup, [part(0, Codec::H264, Content::Setup(Bytes::from_static(&[1, 2])))]);
        let shifted = video(&tag(&[&[0x27, 1, 0xff, 0xff, 0xfe, 9]])).unwrap();
        assert_eq!(shifted, [part(0, Codec::H264, sample(-2, false, Bytes::from_static(&[9])))]);
        assert_eq!(video(&tag(&[&[0x17, 2, 0, 0, 0]])).unwrap(), [], "the end of a sequence");
        let sound = audio(&tag(&[&[0xaf, 0, 0x11, 0x90]])).unwrap();
        assert_eq!(sound, [part(0, Codec::Aac, Content::Setup(Bytes::from_static(&[0x11, 0x90])))]);
        let mp3 = audio(&tag(&[&[0x2f, 1]])).unwrap();
        assert_eq!(mp3[0].codec, Codec::Other("MP3".into()));
    }

    #[test]
    fn enhanced_tags_name_their_codec() {
        let hevc = video(&tag(&[&[0x91], b"hvc1", &[0, 0, 40, 7]])).unwrap();
        assert_eq!(hevc, [part(0, Codec::Hevc, sample(40, true, Bytes::from_static(&[7])))]);
        let unshifted = video(&tag(&[&[0xa3], b"hvc1", &[7]])).unwrap();
        assert_eq!(unshifted, [part(0, Codec::Hevc, sample(0, false, Bytes::from_static(&[7])))]);
        let av1 = video(&tag(&[&[0x91], b"av01", &[7]])).unwrap();
        assert_eq!(av1, [part(0, Codec::Av1, sample(0, true, Bytes::from_static(&[7])))]);
        let opus = audio(&tag(&[&[0x91], b"Opus", &[7]])).unwrap();
        assert_eq!(opus, [part(0, Codec::Opus, sample(0, true, Bytes::from_static(&[7])))]);
        assert_eq!(video(&tag(&[&[0x94], b"av01", &[7]])).unwrap(), [], "metadata");
        assert_eq!(video(&tag(&[&[0xd1, 0]])).unwrap(), [], "a command");
    }

    #[test]
    fn tracks_of_a_multitrack_tag_have_their_numbers() {
        let one = video(&tag(&[&[0x96, 0x01], b"avc1", &[1, 0, 0, 0, 7]])).unwrap();
        assert_eq!(one, [part(1, Codec::H264, sample(0, true, Bytes::from_static(&[7])))]);
        let same = audio(&tag(&[&[0x95, 0x11], b"mp4a", &[0, 0, 0, 1, 8, 2, 0, 0, 2, 9, 9]])).unwrap();
        assert_eq!(same.iter().map(|part| part.track).collect::<Vec<_>>(), [0, 2]);
        let mixed = video(&tag(&[&[0x96, 0x23], b"avc1", &[0, 0, 0, 1, 8], b"av01", &[1, 0, 0, 1, 9]])).unwrap();
        assert_eq!(mixed.iter().map(|part| part.codec.clone()).collect::<Vec<_>>(), [Codec::H264, Codec::Av1]);
    }

    #[test]
    fn what_later_versions_put_before_the_packet_is_passed_over() {
        let nanoseconds = video(&tag(&[&[0x97, 2, 1, 2, 3, 0x03], b"av01", &[7]])).unwrap();
        assert_eq!(nanoseconds, [part(0, Codec::Av1, sample(0, true, Bytes::from_static(&[7])))]);
    }

    #[test]
    fn tags_that_are_cut_off_are_none() {
        for cut in [
            &[][..],
            &[0x17],
            &[0x17, 1, 0],
            &[0x91, b'h', b'v'],
            &[0x97, 200],
            &[0x96, 0x11, b'a', b'v', b'c', b'1', 0, 0, 0, 9],
        ] {
            assert_eq!(video(&Bytes::from_static(cut)), None, "{cut:?}");
        }
        assert_eq!(audio(&Bytes::new()), None);
        assert_eq!(audio(&Bytes::from_static(&[0xaf])), None);
    }
}
