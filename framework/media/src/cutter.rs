//! Cuts fragmented MP4 into units: bytes in, events out, no input or output of its own.

use std::collections::{BTreeMap, VecDeque};

use bytes::{Bytes, BytesMut};
use peerstream_traits::ingest::{INIT_BYTES_MAX, IngestError, IngestEvent, UNIT_BYTES_MAX};

use crate::advice::{Adviser, Kind, Picture, seconds};
use crate::boxes::{FourCc, Header, letters, malformed};
use crate::fragment::{Fragment, Part};
use crate::group::{Group, Piece};
use crate::init::{Content, Tracks, not_fragmented};
use crate::sniff::not_an_mp4;
use crate::timeline::{Timeline, micros_down};

/// Boxes with which an MP4 may begin.
const TOP_LEVEL: [&FourCc; 14] = [
    b"ftyp", b"styp", b"moov", b"moof", b"mdat", b"sidx", b"prft", b"emsg", b"free", b"skip", b"wide", b"uuid",
    b"pdin", b"mfra",
];

/// How many fragments of sound right before a first key frame are kept.
const HELD_MAX: usize = 4;
/// The largest of them, in bytes.
const HELD_BYTES_MAX: usize = 16 * 1024;

/// A fragment with its media.
#[derive(Debug)]
struct Whole {
    prefix: Bytes,
    fragment: Fragment,
    moof: Bytes,
    mdat: Bytes,
}

/// Cuts fragmented MP4 into units.
///
/// [`push`](Self::push) takes bytes in pieces of any size, [`poll`](Self::poll) gives the events, in order; how the
/// bytes were divided makes no difference. It holds at most one unit, one fragment and what was pushed last.
/// The outgoing times begin near where it was told to begin, never go back, and are written into the fragments.
/// A unit's time is that of decoding its first picture: with B-frames it is shown a little later.
#[derive(Debug, Default)]
pub struct Cutter {
    buffer: BytesMut,
    /// Where the buffer begins in the input, for messages.
    at: u64,
    /// Bytes of an uninteresting box still to pass over.
    skip: u64,
    begun: bool,
    fragments: bool,
    ftyp: Bytes,
    init: Bytes,
    tracks: Option<Tracks>,
    /// Boxes that belong to the next fragment.
    prefix: BytesMut,
    open: Option<(Fragment, Bytes)>,
    timeline: Timeline,
    adviser: Adviser,
    /// How long a sample of sound lasts, by track, in ticks.
    usual: BTreeMap<u32, u32>,
    group: Group,
    sequence: u32,
    wait_for_key: bool,
    /// Sound that came right before the key frame that is waited for.
    held: VecDeque<Whole>,
    discontinuity: bool,
    events: VecDeque<IngestEvent>,
    failed: Option<String>,
}

impl Cutter {
    /// Waits for the first box.
    pub fn new() -> Self {
        Self::default()
    }

    /// Waits for the first box of an input that begins at this time, in microseconds of the broadcast's clock.
    pub fn starting_at(start_us: u64) -> Self {
        Self { timeline: Timeline::starting_at(start_us.into()), ..Self::default() }
    }

    /// Takes the next bytes; after an error it stays in error. Events before the error are still given.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), IngestError> {
        if let Some(text) = &self.failed {
            return Err(malformed(text));
        }
        self.buffer.extend_from_slice(bytes);
        let result = self.read_boxes();
        if let Err(error) = &result {
            self.failed = Some(error.to_string());
            self.buffer = BytesMut::new();
        }
        result
    }

    /// The next event.
    pub fn poll(&mut self) -> Option<IngestEvent> {
        self.events.pop_front()
    }

    /// The input has ended: gives out the last unit and drops what is incomplete.
    pub fn finish(&mut self) {
        self.flush();
        let dropped = self.buffer.len() + self.prefix.len() + self.open.as_ref().map_or(0, |(_, moof)| moof.len());
        if dropped > 0 || self.skip > 0 {
            self.advise(Kind::Truncated, || {
                format!("the input ended in the middle of a fragment: the last {dropped} bytes were dropped")
            });
        }
        if self.init.is_empty() {
            self.advise(Kind::Empty, || "the input ended before its codec header (moov): did the encoder fail?".into());
        }
        self.buffer = BytesMut::new();
        self.prefix.clear();
        self.open = None;
        self.held.clear();
        self.skip = 0;
    }

    /// The same input begins again from its first byte; the outgoing times go on.
    pub fn again(&mut self) {
        self.finish();
        self.at = 0;
        self.begun = false;
        self.fragments = false;
        self.timeline.again();
        self.adviser.start_over();
    }

    /// The end of the media given out so far, in microseconds.
    pub fn end_us(&self) -> u64 {
        u64::try_from(self.timeline.end()).unwrap_or(u64::MAX)
    }

    fn read_boxes(&mut self) -> Result<(), IngestError> {
        loop {
            self.pass_over();
            if self.skip > 0 {
                return Ok(());
            }
            let Some(header) = Header::read(&self.buffer) else { return Ok(()) };
            let len = self.check(header)?;
            self.begun = true;
            if is_dropped(header.name) {
                self.skip = len;
                continue;
            }
            if (self.buffer.len() as u64) < len {
                return Ok(());
            }
            let whole = self.buffer.split_to(len as usize).freeze();
            self.take_box(header, whole)?;
            self.at += len;
        }
    }

    fn pass_over(&mut self) {
        let len = self.skip.min(self.buffer.len() as u64);
        let _ = self.buffer.split_to(len as usize);
        self.skip -= len;
        self.at += len;
    }

    /// Refuses a box that cannot be taken, before its bytes are waited for; returns its length.
    fn check(&self, header: Header) -> Result<u64, IngestError> {
        let name = letters(header.name);
        if !self.begun && !TOP_LEVEL.contains(&&header.name) {
            return Err(not_an_mp4(&self.buffer));
        }
        if &header.name == b"mdat" && !self.fragments {
            return Err(not_fragmented("media data (mdat) comes before the first fragment (moof)"));
        }
        let at = self.at;
        let Some(len) = header.box_len else {
            return Err(malformed(format!(
                "box '{name}' at byte {at} has no length; expected fragments of known length"
            )));
        };
        if len < header.header_len as u64 || !header.name.iter().all(|&b| (0x20..0x7f).contains(&b) || b == 0xa9) {
            return Err(malformed(format!(
                "no box found at byte {at} ('{name}', {len} bytes): the input is damaged there"
            )));
        }
        let max = match &header.name {
            b"mfra" | b"free" | b"skip" => u64::MAX,
            b"moov" | b"ftyp" => INIT_BYTES_MAX as u64,
            _ => UNIT_BYTES_MAX as u64,
        };
        if len <= max {
            return Ok(len);
        }
        let found = format!("box '{name}' at byte {at} has {len} bytes");
        if &header.name == b"moov" {
            return Err(not_fragmented(&format!("{found}, at most {max} expected")));
        }
        Err(too_large(&found, max))
    }

    fn take_box(&mut self, header: Header, whole: Bytes) -> Result<(), IngestError> {
        match &header.name {
            b"ftyp" => self.ftyp = whole,
            b"moov" => self.take_init(header, whole)?,
            b"moof" => self.take_moof(header, whole)?,
            b"mdat" => return self.take_mdat(whole),
            _ => self.prefix.extend_from_slice(&whole),
        }
        if self.prefix.len() > UNIT_BYTES_MAX {
            return Err(too_large("the boxes before a fragment have more bytes", UNIT_BYTES_MAX as u64));
        }
        Ok(())
    }

    fn take_init(&mut self, header: Header, moov: Bytes) -> Result<(), IngestError> {
        let tracks = Tracks::read(&moov[header.header_len..])?;
        let bytes = Bytes::from([&self.ftyp[..], &moov[..]].concat());
        if bytes.len() > INIT_BYTES_MAX {
            let len = bytes.len();
            return Err(malformed(format!("the codec header has {len} bytes, at most {INIT_BYTES_MAX} expected")));
        }
        if bytes == self.init {
            return Ok(());
        }
        self.flush();
        self.discontinuity = self.tracks.is_some();
        self.wait_for_key = tracks.leader().content == Content::Video;
        self.timeline.new_tracks();
        self.usual.clear();
        self.held.clear();
        self.adviser.start_over();
        self.events.push_back(IngestEvent::Init { bytes: bytes.clone(), mime: tracks.mime() });
        let trouble: Vec<_> = tracks.iter().filter_map(|track| track.codec.as_ref()?.trouble.clone()).collect();
        if !trouble.is_empty() {
            self.advise(Kind::Codec, || trouble.join("; "));
        }
        self.init = bytes;
        self.tracks = Some(tracks);
        Ok(())
    }

    fn take_moof(&mut self, header: Header, moof: Bytes) -> Result<(), IngestError> {
        let Some(tracks) = &self.tracks else {
            return Err(malformed(
                "a fragment (moof) comes before the codec header (moov): start the encoder after peerstream, or send the stream from its beginning",
            ));
        };
        let fragment = Fragment::read(&moof, header.header_len, tracks)?;
        self.fragments = true;
        if self.open.replace((fragment, moof)).is_some() {
            self.advise(Kind::EmptyFragment, || "a fragment without media data (mdat) was dropped".into());
        }
        Ok(())
    }

    fn take_mdat(&mut self, mdat: Bytes) -> Result<(), IngestError> {
        let Some((fragment, moof)) = self.open.take() else {
            return Err(malformed(format!("media data (mdat) at byte {} belongs to no fragment (moof)", self.at)));
        };
        self.watch(&fragment);
        let whole = Whole { prefix: self.prefix.split().freeze(), fragment, moof, mdat };
        if self.wait_for_key && !whole.fragment.is_key() {
            self.hold(whole);
            return Ok(());
        }
        self.wait_for_key = false;
        for held in std::mem::take(&mut self.held) {
            self.accept(held)?;
        }
        self.accept(whole)
    }

    /// Keeps the sound right before the first key frame; nothing else of what comes before it can be played.
    fn hold(&mut self, whole: Whole) {
        if whole.fragment.has_video() || whole.mdat.len() > HELD_BYTES_MAX {
            return;
        }
        if self.held.len() == HELD_MAX {
            self.held.pop_front();
        }
        self.held.push_back(whole);
    }

    fn watch(&mut self, fragment: &Fragment) {
        let Some(part) = fragment.parts.iter().find(|part| part.content == Content::Video) else { return };
        let micros = |ticks: i128| micros_down(ticks, part.timescale);
        let at = micros(part.start.into());
        let picture = Picture {
            at,
            duration: micros(part.duration.into()),
            key: part.key,
            reorder: part.reorder.map(|(low, high)| (micros(low.into()), micros(high.into()))),
        };
        self.events.extend(self.adviser.watch(picture).into_iter().map(IngestEvent::Advice));
    }

    /// Puts a whole fragment on the outgoing timeline and into the group.
    fn accept(&mut self, whole: Whole) -> Result<(), IngestError> {
        let Whole { prefix, mut fragment, moof, mdat } = whole;
        let mut moof = moof.to_vec();
        self.sequence = self.sequence.wrapping_add(1);
        fragment.number(&mut moof, self.sequence);
        for part in &mut fragment.parts {
            self.mend(part, &mut moof);
            let placed = self.timeline.place(part);
            part.move_to(&mut moof, placed.start)?;
            if let Some(step) = placed.step {
                self.break_timeline(step);
            }
        }
        let bytes = Bytes::from([&prefix[..], &moof, &mdat].concat());
        if bytes.len() > UNIT_BYTES_MAX {
            let found = format!("a fragment has {} bytes", bytes.len());
            return Err(too_large(&found, UNIT_BYTES_MAX as u64));
        }
        let piece = self.piece(&fragment, bytes);
        if self.group.must_end_before(&piece) {
            self.flush();
        }
        let discontinuity = std::mem::take(&mut self.discontinuity);
        self.group.add(piece, discontinuity);
        if self.group.is_full() {
            self.flush();
        }
        Ok(())
    }

    /// Samples of sound all last equally long: the first part with a duration says how long.
    fn mend(&mut self, part: &mut Part, moof: &mut [u8]) {
        if part.content != Content::Audio || part.samples == 0 {
            return;
        }
        match self.usual.get(&part.track) {
            Some(&usual) => part.mend_duration(moof, usual),
            None => {
                let each = u32::try_from(part.duration / part.samples).ok().filter(|&each| each > 0);
                self.usual.extend(each.map(|each| (part.track, each)));
            }
        }
    }

    fn piece(&self, fragment: &Fragment, bytes: Bytes) -> Piece {
        let leader = self.tracks.as_ref().map(Tracks::leader);
        let span = |part: &Part| {
            let end = i128::from(part.start) + i128::from(part.duration);
            (micros_down(part.start.into(), part.timescale), micros_down(end, part.timescale))
        };
        let spans = || fragment.parts.iter().map(span);
        Piece {
            start: spans().map(|(start, _)| start).min().unwrap_or(0),
            end: spans().map(|(_, end)| end).max().unwrap_or(0),
            leader: fragment.parts.iter().find(|part| leader.is_some_and(|leader| leader.id == part.track)).map(span),
            video: fragment.has_video(),
            key: fragment.is_key(),
            join: leader.is_some_and(|leader| leader.content == Content::Audio) || fragment.is_key(),
            bytes,
        }
    }

    fn break_timeline(&mut self, step: i128) {
        self.flush();
        self.discontinuity = true;
        self.adviser.start_over();
        self.advise(Kind::Clock, || {
            let way = if step < 0 { "back" } else { "ahead" };
            let by = seconds(step.abs());
            format!("the input's clock jumped {way} by {by}: viewers see a cut; keep one encoder running for the whole stream")
        });
    }

    fn flush(&mut self) {
        self.events.extend(self.group.take().map(IngestEvent::Unit));
    }

    fn advise(&mut self, kind: Kind, text: impl FnOnce() -> String) {
        self.events.extend(self.adviser.once(kind, text).map(IngestEvent::Advice));
    }
}

/// Boxes that mean nothing once fragments are regrouped: indexes into the file, and padding.
fn is_dropped(name: FourCc) -> bool {
    !matches!(&name, b"ftyp" | b"moov" | b"styp" | b"prft" | b"emsg" | b"moof" | b"mdat")
}

fn too_large(found: &str, max: u64) -> IngestError {
    malformed(format!("{found}, at most {max} expected: mux with -movflags {}", crate::MOVFLAGS))
}
