//! Reads the codec header (`moov`): the tracks, their clocks and their defaults.

use peerstream_traits::ingest::IngestError;

use crate::boxes::{Reader, children, descend, malformed};
use crate::codec::{self, Codec};
use crate::{FFMPEG_COMMAND, FFMPEG_REMUX};

/// More tracks than anybody plays.
const TRACKS_MAX: usize = 16;

/// What a track carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// Pictures.
    Video,
    /// Sound.
    Audio,
    /// Anything else, such as subtitles; passed on and not looked at.
    Other,
}

/// What a sample is unless its fragment says otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Defaults {
    /// In ticks of the track's clock.
    pub duration: u32,
    /// The flags; bit 16 set means: not a key frame.
    pub flags: u32,
}

/// One track of the codec header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Track {
    /// Its number.
    pub id: u32,
    /// Ticks per second, never zero.
    pub timescale: u32,
    /// What it carries.
    pub content: Content,
    /// `None` for what is neither video nor audio.
    pub codec: Option<Codec>,
    /// From `trex`.
    pub defaults: Defaults,
}

/// The tracks of a fragmented MP4.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tracks(Vec<Track>);

impl Tracks {
    /// Reads the body of a `moov` box.
    pub fn read(moov: &[u8]) -> Result<Self, IngestError> {
        let Some(mvex) = descend(moov, &[b"mvex"])? else {
            return Err(not_fragmented("its header (moov) announces no fragments"));
        };
        let mut tracks = Vec::new();
        for child in children(moov) {
            let child = child?;
            if &child.name == b"trak" {
                tracks.push(track(child.body)?);
            }
            if tracks.len() > TRACKS_MAX {
                return Err(malformed(format!(
                    "more than {TRACKS_MAX} tracks found, one video and one audio expected"
                )));
            }
        }
        read_defaults(mvex, &mut tracks)?;
        if !tracks.iter().any(|track| track.content != Content::Other) {
            return Err(malformed(format!("no video or audio track found: {FFMPEG_COMMAND}")));
        }
        Ok(Self(tracks))
    }

    /// The track with this number.
    pub fn get(&self, id: u32) -> Result<&Track, IngestError> {
        self.0.iter().find(|track| track.id == id).ok_or_else(|| {
            let known: Vec<_> = self.0.iter().map(|track| track.id.to_string()).collect();
            malformed(format!("a fragment belongs to track {id}, the header has track {}", known.join(", ")))
        })
    }

    /// All tracks, in the order of the header.
    pub fn iter(&self) -> impl Iterator<Item = &Track> {
        self.0.iter()
    }

    /// The track whose clock cuts the units: the first video, else the first audio.
    pub fn leader(&self) -> &Track {
        let of = |content| self.0.iter().find(move |track| track.content == content);
        of(Content::Video).or_else(|| of(Content::Audio)).unwrap_or(&self.0[0])
    }

    /// The MIME type that a player asks its browser for, at most 255 bytes.
    pub fn mime(&self) -> String {
        let top = if self.leader().content == Content::Video { "video" } else { "audio" };
        let mut codecs = String::new();
        for codec in self.0.iter().filter_map(|track| track.codec.as_ref()) {
            if codecs.len() + codec.name.len() > 200 {
                break;
            }
            let comma = if codecs.is_empty() { "" } else { "," };
            codecs += &format!("{comma}{}", codec.name);
        }
        format!("{top}/mp4; codecs=\"{codecs}\"")
    }
}

/// The error for an MP4 whose samples are indexed in its header.
pub fn not_fragmented(found: &str) -> IngestError {
    malformed(format!("this MP4 is not fragmented: {found}; repackage it without encoding: {FFMPEG_REMUX}"))
}

fn track(trak: &[u8]) -> Result<Track, IngestError> {
    let need = |path: &[&[u8; 4]], name: &str| {
        descend(trak, path)?.ok_or_else(|| malformed(format!("a track has no '{name}' box")))
    };
    let id = track_id(need(&[b"tkhd"], "tkhd")?)?;
    let timescale = timescale(need(&[b"mdia", b"mdhd"], "mdhd")?)?;
    let handler: [u8; 4] = {
        let mut reader = Reader::new(need(&[b"mdia", b"hdlr"], "hdlr")?);
        reader.skip(8)?;
        reader.array()?
    };
    let content = match &handler {
        b"vide" => Content::Video,
        b"soun" => Content::Audio,
        _ => Content::Other,
    };
    let stsd = need(&[b"mdia", b"minf", b"stbl", b"stsd"], "stsd")?;
    let codec = if content == Content::Other { None } else { Some(first_codec(stsd)?) };
    Ok(Track { id, timescale, content, codec, defaults: Defaults::default() })
}

fn track_id(tkhd: &[u8]) -> Result<u32, IngestError> {
    let mut reader = Reader::new(tkhd);
    let (version, _) = reader.version_and_flags()?;
    reader.skip(if version == 1 { 16 } else { 8 })?;
    reader.u32()
}

fn timescale(mdhd: &[u8]) -> Result<u32, IngestError> {
    let mut reader = Reader::new(mdhd);
    let (version, _) = reader.version_and_flags()?;
    reader.skip(if version == 1 { 16 } else { 8 })?;
    match reader.u32()? {
        0 => Err(malformed("a track has a clock of 0 ticks per second")),
        timescale => Ok(timescale),
    }
}

fn first_codec(stsd: &[u8]) -> Result<Codec, IngestError> {
    let entries = stsd.get(8..).unwrap_or_default();
    let entry = children(entries).next().ok_or_else(|| malformed("a track names no codec ('stsd' is empty)"))??;
    codec::of_sample_entry(entry)
}

fn read_defaults(mvex: &[u8], tracks: &mut [Track]) -> Result<(), IngestError> {
    for child in children(mvex) {
        let child = child?;
        if &child.name != b"trex" {
            continue;
        }
        let mut reader = Reader::new(child.body);
        reader.version_and_flags()?;
        let id = reader.u32()?;
        reader.skip(4)?;
        let duration = reader.u32()?;
        reader.skip(4)?;
        let defaults = Defaults { duration, flags: reader.u32()? };
        tracks.iter_mut().filter(|track| track.id == id).for_each(|track| track.defaults = defaults);
    }
    Ok(())
}
