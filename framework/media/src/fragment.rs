//! Reads a fragment's header (`moof`) and rewrites its times.

use peerstream_traits::ingest::IngestError;

use crate::boxes::{Child, Reader, children, find, malformed};
use crate::init::{Content, Defaults, Tracks};

/// More runs of samples than a fragment has.
const RUNS_MAX: usize = 4096;

/// Bit of the sample flags: not a key frame.
const NON_SYNC: u32 = 0x0001_0000;

/// What one fragment holds of one track.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// The track.
    pub track: u32,
    /// What the track carries.
    pub content: Content,
    /// Ticks per second of the track.
    pub timescale: u32,
    /// When its first sample is decoded, in ticks.
    pub start: u64,
    /// How long its samples last together, in ticks.
    pub duration: u64,
    /// Its first sample needs no other.
    pub key: bool,
    /// The smallest and the largest distance from decoding to showing, in ticks.
    pub reorder: Option<(i64, i64)>,
    /// How many samples it has.
    pub samples: u64,
    clock: Clock,
    /// Where the duration that all samples have is written, if they have one.
    duration_at: Option<usize>,
}

/// Where the start is written in the `moof`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Clock {
    at: usize,
    wide: bool,
}

/// A parsed `moof`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fragment {
    /// One part per track, in order.
    pub parts: Vec<Part>,
    sequence_at: Option<usize>,
}

impl Fragment {
    /// Reads a whole `moof` box with its header of `header_len` bytes.
    pub fn read(moof: &[u8], header_len: usize, tracks: &Tracks) -> Result<Self, IngestError> {
        let body = moof.get(header_len..).unwrap_or_default();
        let mut fragment = Self { parts: Vec::new(), sequence_at: None };
        for child in children(body) {
            let child = child?;
            match &child.name {
                b"mfhd" if child.body.len() >= 8 => fragment.sequence_at = Some(header_len + child.at + 4),
                b"traf" => fragment.parts.push(part(child, header_len, tracks)?),
                _ => {}
            }
        }
        if fragment.parts.is_empty() {
            return Err(malformed("a fragment (moof) holds no track ('traf' expected)"));
        }
        Ok(fragment)
    }

    /// Whether it begins with a key frame of a video.
    pub fn is_key(&self) -> bool {
        self.parts.iter().find(|part| part.content == Content::Video).is_some_and(|part| part.key)
    }

    /// Whether it holds pictures.
    pub fn has_video(&self) -> bool {
        self.parts.iter().any(|part| part.content == Content::Video)
    }

    /// Writes the fragment's number.
    pub fn number(&self, moof: &mut [u8], sequence: u32) {
        if let Some(place) = self.sequence_at.and_then(|at| moof.get_mut(at..at + 4)) {
            place.copy_from_slice(&sequence.to_be_bytes());
        }
    }
}

impl Part {
    /// A part that was not read from anywhere: track, ticks per second and content, start and duration in ticks.
    #[cfg(test)]
    pub(crate) fn new((track, timescale, content): (u32, u32, Content), start: u64, duration: u64) -> Self {
        let clock = Clock { at: 0, wide: true };
        Self {
            track,
            content,
            timescale,
            start,
            duration,
            key: false,
            reorder: None,
            samples: 1,
            clock,
            duration_at: None,
        }
    }

    /// Gives samples without a duration the `usual` one, in ticks, in the `moof` and here.
    ///
    /// Where ffmpeg does not know a packet's end it writes zero, and moves the packet to the next one's time.
    pub fn mend_duration(&mut self, moof: &mut [u8], usual: u32) {
        if let (0, Some(at)) = (self.duration, self.duration_at) {
            write(moof, at, &usual.to_be_bytes());
            self.duration = self.samples.saturating_mul(usual.into());
        }
    }

    /// Writes another start, in ticks, into the `moof` and here.
    pub fn move_to(&mut self, moof: &mut [u8], start: u64) -> Result<(), IngestError> {
        let Clock { at, wide } = self.clock;
        if wide {
            write(moof, at, &start.to_be_bytes());
        } else {
            let short = u32::try_from(start).map_err(|_| {
                let hours = (1u64 << 32) / u64::from(self.timescale) / 3600;
                malformed(format!(
                    "track {} has times of 32 bit, which end after {hours} h: restart the encoder",
                    self.track
                ))
            })?;
            write(moof, at, &short.to_be_bytes());
        }
        self.start = start;
        Ok(())
    }
}

fn write(moof: &mut [u8], at: usize, number: &[u8]) {
    if let Some(place) = moof.get_mut(at..at + number.len()) {
        place.copy_from_slice(number);
    }
}

fn part(traf: Child<'_>, header_len: usize, tracks: &Tracks) -> Result<Part, IngestError> {
    let tfhd = find(traf.body, b"tfhd")?.ok_or_else(|| malformed("a fragment's track has no 'tfhd' box"))?;
    let (id, defaults, duration_at) = read_tfhd(tfhd.body, tracks)?;
    let track = tracks.get(id)?;
    let tfdt = find(traf.body, b"tfdt")?
        .ok_or_else(|| malformed(format!("a fragment has no time ('tfdt' missing): {}", crate::FFMPEG_COMMAND)))?;
    let (start, clock) = read_tfdt(tfdt, header_len + traf.at)?;
    let samples = read_runs(traf.body, defaults)?;
    Ok(Part {
        track: id,
        content: track.content,
        timescale: track.timescale,
        start,
        duration: samples.duration,
        key: samples.first_flags.is_some_and(is_sync),
        reorder: samples.reorder,
        samples: samples.count,
        clock,
        duration_at: duration_at.filter(|_| samples.same_duration).map(|at| header_len + traf.at + tfhd.at + at),
    })
}

/// "Depends on others" contradicts a forgotten non-sync bit.
fn is_sync(flags: u32) -> bool {
    flags & NON_SYNC == 0 && (flags >> 24) & 3 != 1
}

/// The track, its samples' defaults, and where in the body the duration is written.
fn read_tfhd(body: &[u8], tracks: &Tracks) -> Result<(u32, Defaults, Option<usize>), IngestError> {
    let mut reader = Reader::new(body);
    let (_, flags) = reader.version_and_flags()?;
    let id = reader.u32()?;
    let mut defaults = tracks.get(id)?.defaults;
    if flags & 0x01 != 0 {
        return Err(malformed(format!("fragments point to places in a file: {}", crate::FFMPEG_COMMAND)));
    }
    reader.skip(if flags & 0x02 == 0 { 0 } else { 4 })?;
    let mut duration_at = None;
    if flags & 0x08 != 0 {
        duration_at = Some(reader.position());
        defaults.duration = reader.u32()?;
    }
    reader.skip(if flags & 0x10 == 0 { 0 } else { 4 })?;
    if flags & 0x20 != 0 {
        defaults.flags = reader.u32()?;
    }
    Ok((id, defaults, duration_at))
}

/// The time, and where in the `moof` it is written; `base` is where the track's body begins.
fn read_tfdt(tfdt: Child<'_>, base: usize) -> Result<(u64, Clock), IngestError> {
    let mut reader = Reader::new(tfdt.body);
    let (version, _) = reader.version_and_flags()?;
    let clock = Clock { at: base + tfdt.at + 4, wide: version == 1 };
    let start = if clock.wide { reader.u64()? } else { reader.u32()?.into() };
    Ok((start, clock))
}

struct Samples {
    count: u64,
    duration: u64,
    /// None has a duration of its own.
    same_duration: bool,
    first_flags: Option<u32>,
    reorder: Option<(i64, i64)>,
}

fn read_runs(traf: &[u8], defaults: Defaults) -> Result<Samples, IngestError> {
    let mut samples = Samples { count: 0, duration: 0, same_duration: true, first_flags: None, reorder: None };
    let mut runs = 0;
    for child in children(traf) {
        let child = child?;
        if &child.name == b"trun" {
            samples.read_run(child.body, defaults)?;
            runs += 1;
        }
        if runs > RUNS_MAX {
            return Err(malformed(format!("more than {RUNS_MAX} runs of samples in a fragment")));
        }
    }
    Ok(samples)
}

impl Samples {
    fn read_run(&mut self, body: &[u8], defaults: Defaults) -> Result<(), IngestError> {
        let mut reader = Reader::new(body);
        let (version, flags) = reader.version_and_flags()?;
        let count = reader.u32()?;
        reader.skip(if flags & 0x01 == 0 { 0 } else { 4 })?;
        let first_flags = if flags & 0x04 == 0 { None } else { Some(reader.u32()?) };
        if count > 0 && self.first_flags.is_none() {
            let own = if flags & 0x400 == 0 { None } else { Some(peek_flags(reader, flags)?) };
            self.first_flags = Some(first_flags.or(own).unwrap_or(defaults.flags));
        }
        self.count = self.count.saturating_add(count.into());
        self.same_duration &= flags & 0x100 == 0;
        if flags & 0xf00 == 0 {
            // Without fields per sample the count has no bytes behind it: never loop over it.
            self.duration = self.duration.saturating_add(u64::from(count) * u64::from(defaults.duration));
            return Ok(());
        }
        for _ in 0..count {
            self.read_sample(&mut reader, version, flags, defaults)?;
        }
        Ok(())
    }

    fn read_sample(
        &mut self,
        reader: &mut Reader<'_>,
        version: u8,
        flags: u32,
        defaults: Defaults,
    ) -> Result<(), IngestError> {
        let duration = if flags & 0x100 == 0 { defaults.duration } else { reader.u32()? };
        self.duration = self.duration.saturating_add(duration.into());
        reader.skip(if flags & 0x200 == 0 { 0 } else { 4 })?;
        reader.skip(if flags & 0x400 == 0 { 0 } else { 4 })?;
        if flags & 0x800 != 0 {
            let raw = reader.u32()?;
            let offset = if version == 0 { i64::from(raw) } else { i64::from(raw as i32) };
            let (low, high) = self.reorder.unwrap_or((offset, offset));
            self.reorder = Some((low.min(offset), high.max(offset)));
        }
        Ok(())
    }
}

/// The flags of the next sample.
fn peek_flags(mut reader: Reader<'_>, flags: u32) -> Result<u32, IngestError> {
    reader.skip(if flags & 0x100 == 0 { 0 } else { 4 })?;
    reader.skip(if flags & 0x200 == 0 { 0 } else { 4 })?;
    reader.u32()
}
