//! What an encoder publishes, made into units: tags in, events out, no input or output of its own.

use std::collections::{BTreeSet, VecDeque};

use bytes::Bytes;
use peerstream_media::format::{Audio, Video};
use peerstream_media::mux::{Lane, Sample};
use peerstream_media::{Cutter, Muxer};
use peerstream_sdk::traits::ingest::{IngestError, IngestEvent};

use crate::amf::Value;
use crate::clock::Clock;
use crate::flv::{self, Codec, Content, Part};

/// More than this needs uplinks that few viewers have, in kilobits per second.
const ADVISED_KBPS: f64 = 3_000.0;
/// What many viewers can send, in kilobits per second, for the advice.
const ADVISED_TEXT: &str = "2500 kbit/s is a good value";

/// What was passed over, for the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    /// Tags that are cut off or make no sense.
    pub malformed: u64,
    /// Samples of further tracks.
    pub further_tracks: u64,
    /// Samples of codecs that cannot be passed on.
    pub unusable: u64,
    /// Samples before their codec's setup.
    pub unexpected: u64,
}

/// Makes units of one publication.
#[derive(Debug)]
pub struct Publication {
    clock: Clock,
    video: Track,
    audio: Track,
    muxer: Muxer,
    cutter: Cutter,
    /// What the encoder said last about itself.
    encoder: Option<String>,
    said: BTreeSet<String>,
    advice: VecDeque<String>,
    dropped: Dropped,
}

/// Which of the encoder's tracks is taken.
#[derive(Clone, Copy, Debug, Default)]
struct Track {
    number: Option<u8>,
}

/// Pieces of advice in one publication; more are not said.
const ADVICE_MAX: usize = 16;

impl Publication {
    /// A publication that begins at this time of the broadcast's clock, in microseconds.
    pub fn new(start_us: u64) -> Self {
        Self {
            clock: Clock::default(),
            video: Track::default(),
            audio: Track::default(),
            muxer: Muxer::default(),
            cutter: Cutter::starting_at(start_us),
            encoder: None,
            said: BTreeSet::new(),
            advice: VecDeque::new(),
            dropped: Dropped::default(),
        }
    }

    /// Takes a tag of pictures. Fails if viewers can never see them.
    pub fn video(&mut self, time_ms: u32, tag: &Bytes) -> Result<(), IngestError> {
        let time_ms = self.clock.read(time_ms);
        let Some(parts) = flv::video(tag) else {
            self.dropped.malformed += 1;
            return Ok(());
        };
        for part in parts {
            self.take(Lane::Video, time_ms, part)?;
        }
        self.drain()
    }

    /// Takes a tag of sound.
    pub fn audio(&mut self, time_ms: u32, tag: &Bytes) -> Result<(), IngestError> {
        let time_ms = self.clock.read(time_ms);
        let Some(parts) = flv::audio(tag) else {
            self.dropped.malformed += 1;
            return Ok(());
        };
        for part in parts {
            self.take(Lane::Audio, time_ms, part)?;
        }
        self.drain()
    }

    /// Takes what the encoder says about its stream.
    pub fn metadata(&mut self, metadata: &Value) {
        self.encoder = metadata.get("encoder").and_then(Value::text).map(crate::session::printable);
        let rate = |name: &str| metadata.get(name).and_then(Value::number).unwrap_or(0.0);
        let kbps = rate("videodatarate") + rate("audiodatarate");
        if kbps > ADVISED_KBPS && kbps.is_finite() {
            self.advise(format!(
                "{kbps:.0} kbit/s: each viewer who passes the stream on needs twice that as upload; {ADVISED_TEXT}"
            ));
        }
    }

    /// What the encoder calls itself, such as `obs-output module (libobs version 30.0.2)`.
    pub fn encoder(&self) -> Option<&str> {
        self.encoder.as_deref()
    }

    /// What was passed over so far.
    pub fn dropped(&self) -> Dropped {
        Dropped { unexpected: self.dropped.unexpected + self.muxer.dropped(), ..self.dropped }
    }

    /// The encoder has ended: gives out what is left.
    pub fn finish(&mut self) -> Result<(), IngestError> {
        self.muxer.finish();
        self.drain()?;
        self.cutter.finish();
        Ok(())
    }

    /// The next event.
    pub fn poll(&mut self) -> Option<IngestEvent> {
        self.advice.pop_front().map(IngestEvent::Advice).or_else(|| self.cutter.poll())
    }

    fn take(&mut self, lane: Lane, time_ms: u64, part: Part) -> Result<(), IngestError> {
        if let Codec::Other(name) = &part.codec {
            self.dropped.unusable += 1;
            return self.unusable(lane, &name.clone());
        }
        if !self.track(lane).is_taken(part.track) {
            self.dropped.further_tracks += 1;
            let what = if lane == Lane::Video { "pictures" } else { "sound" };
            self.advise(format!("several tracks of {what}: only the first one is passed on; send one and save upload"));
            return Ok(());
        }
        match part.content {
            Content::Setup(record) => self.set_up(lane, &part.codec, &record),
            Content::Sample { shift_ms, key, bytes } => {
                let at_us = time_ms.saturating_mul(1000);
                self.muxer.push(lane, Sample { at_us, shift_us: shift_ms.saturating_mul(1000), key, bytes })
            }
        }
    }

    fn set_up(&mut self, lane: Lane, codec: &Codec, record: &[u8]) -> Result<(), IngestError> {
        match (lane, codec) {
            (Lane::Video, Codec::H264) => self.muxer.set_video(Video::h264(record)?),
            (Lane::Video, Codec::Hevc) => self.muxer.set_video(Video::hevc(record)?),
            (Lane::Video, Codec::Av1) => self.muxer.set_video(Video::av1(record)?),
            (Lane::Audio, Codec::Aac) => self.muxer.set_audio(Audio::aac(record)?),
            (Lane::Audio, Codec::Opus) => self.muxer.set_audio(Audio::opus(record)?),
            _ => self.dropped.malformed += 1,
        }
        Ok(())
    }

    /// Pictures that nobody can see end the publication; without sound it goes on.
    fn unusable(&mut self, lane: Lane, name: &str) -> Result<(), IngestError> {
        if lane == Lane::Video {
            return Err(IngestError::Malformed(format!(
                "video codec {name} cannot be passed on: use H.264 (x264, NVENC)"
            )));
        }
        self.advise(format!("audio codec {name} cannot be passed on, viewers hear nothing: use AAC or Opus"));
        Ok(())
    }

    fn track(&mut self, lane: Lane) -> &mut Track {
        match lane {
            Lane::Video => &mut self.video,
            Lane::Audio => &mut self.audio,
        }
    }

    fn advise(&mut self, text: String) {
        if self.said.len() < ADVICE_MAX && self.said.insert(text.clone()) {
            self.advice.push_back(text);
        }
    }

    fn drain(&mut self) -> Result<(), IngestError> {
        while let Some(bytes) = self.muxer.poll() {
            self.cutter.push(&bytes)?;
        }
        Ok(())
    }
}

impl Track {
    /// Whether samples of this track are passed on: the first one's that comes.
    fn is_taken(&mut self, number: u8) -> bool {
        *self.number.get_or_insert(number) == number
    }
}
