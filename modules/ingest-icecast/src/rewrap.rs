//! Puts sound that browsers play into fragmented MP4 as it is: a source's bytes in, events out, no input or output of its own.

use std::collections::VecDeque;

use peerstream_media::format::Audio;
use peerstream_media::mux::{Lane, Muxer, Sample, Settings};
use peerstream_media::{Cutter, opus};
use peerstream_sdk::traits::ingest::IngestEvent;

use crate::adts::{self, NoAdts};
use crate::comments;
use crate::format::is_opus;
use crate::ogg;

/// How much sound is in a fragment, in microseconds: a shorter one would be mostly header and signature.
pub const FRAGMENT_US: u64 = 500_000;

/// Reads Ogg/Opus or ADTS and gives what goes on air.
#[derive(Debug)]
pub struct Rewrap {
    input: Input,
    output: Output,
}

#[derive(Debug)]
enum Input {
    Opus(Opus),
    Adts(Adts),
}

#[derive(Debug)]
struct Opus {
    reader: ogg::Reader,
    /// The header that counts now.
    head: Option<opus::Head>,
    /// Packets that were dropped.
    dropped: u64,
    /// A title came with a track.
    titled: bool,
}

#[derive(Debug)]
struct Adts {
    reader: adts::Reader,
    coding: Option<adts::Coding>,
    /// The source says that it is HE-AAC.
    he: bool,
}

/// What becomes of packets.
#[derive(Debug)]
struct Output {
    muxer: Muxer,
    cutter: Cutter,
    /// Ticks per second, and ticks since the time at which that rate began.
    clock: (u32, u64),
    since_us: u64,
    events: VecDeque<IngestEvent>,
}

impl Rewrap {
    /// Reads Ogg/Opus, for a publication that begins at this time of the broadcast's clock.
    pub fn opus(start_us: u64) -> Self {
        let reader = ogg::Reader::new(is_opus);
        let opus = Opus { reader, head: None, dropped: 0, titled: false };
        Self { input: Input::Opus(opus), output: Output::new(start_us) }
    }

    /// Reads ADTS; `he` says that the source calls it HE-AAC.
    pub fn adts(he: bool, start_us: u64) -> Self {
        let adts = Adts { reader: adts::Reader::default(), coding: None, he };
        Self { input: Input::Adts(adts), output: Output::new(start_us) }
    }

    /// Takes the next bytes. Events before an error are still given.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), String> {
        match &mut self.input {
            Input::Opus(opus) => opus.push(bytes, &mut self.output),
            Input::Adts(adts) => adts.push(bytes, &mut self.output),
        }
    }

    /// The next event.
    pub fn poll(&mut self) -> Option<IngestEvent> {
        self.output.events.pop_front()
    }

    /// The source has ended: gives out what is left.
    pub fn finish(&mut self) {
        // Our own muxer's output; what is wrong with it was told before.
        let _ = self.output.move_on(true);
    }

    /// Damaged pages and unusable packets of Ogg, or bytes of ADTS that belonged to no frame.
    pub fn damaged(&self) -> u64 {
        match &self.input {
            Input::Opus(opus) => opus.reader.damaged() + opus.dropped,
            Input::Adts(adts) => adts.reader.damaged(),
        }
    }
}

impl Opus {
    fn push(&mut self, bytes: &[u8], output: &mut Output) -> Result<(), String> {
        let read = self.reader.push(bytes);
        while let Some(packet) = self.reader.poll() {
            self.take(packet, output)?;
        }
        read.map_err(|_| "this is no Ogg".into())
    }

    fn take(&mut self, packet: ogg::Packet, output: &mut Output) -> Result<(), String> {
        if packet.begins {
            return self.begin(&packet.bytes, output);
        }
        if let Some(list) = packet.bytes.strip_prefix(b"OpusTags") {
            self.name(comments::title(list), output);
            return Ok(());
        }
        // Some clients end a track with a packet of nothing.
        if packet.bytes.is_empty() {
            return Ok(());
        }
        match opus::duration(&packet.bytes).filter(|_| packet.whole && self.head.is_some()) {
            Some(duration) => output.take(packet.bytes, duration),
            None => {
                self.dropped += 1;
                Ok(())
            }
        }
    }

    /// A track begins. Where only its silence at the start differs nothing is changed: a new codec header would be a cut.
    fn begin(&mut self, bytes: &[u8], output: &mut Output) -> Result<(), String> {
        let head = opus::Head::read(bytes).map_err(|error| error.to_string())?;
        let same = |old: &opus::Head| {
            let told = |head: &opus::Head| (head.channels, head.gain, head.family, head.mapping.clone());
            told(old) == told(&head)
        };
        if !self.head.as_ref().is_some_and(same) {
            let audio = Audio::opus(bytes).map_err(|error| error.to_string())?;
            output.set(audio);
            self.head = Some(head);
        }
        Ok(())
    }

    fn name(&mut self, title: String, output: &mut Output) {
        if !title.is_empty() || self.titled {
            self.titled = !title.is_empty();
            output.events.push_back(IngestEvent::Title(title));
        }
    }
}

impl Adts {
    fn push(&mut self, bytes: &[u8], output: &mut Output) -> Result<(), String> {
        let read = self.reader.push(bytes);
        while let Some(frame) = self.reader.poll() {
            if self.coding != Some(frame.coding) {
                let configuration = frame.coding.configuration(self.he);
                output.set(Audio::aac(&configuration).map_err(|error| error.to_string())?);
                self.coding = Some(frame.coding);
            }
            output.take(frame.bytes, 1024)?;
        }
        read.map_err(|error| {
            match error {
                NoAdts::Noise => "this is no AAC in ADTS",
                NoAdts::SeveralBlocks => "this AAC has several blocks in a frame, which no browser plays",
                NoAdts::NoChannels => "this AAC does not say how many channels it has",
            }
            .into()
        })
    }
}

impl Output {
    fn new(start_us: u64) -> Self {
        let settings = Settings { audio_us: FRAGMENT_US, second_track_us: 0, ..Settings::default() };
        Self {
            muxer: Muxer::new(settings),
            cutter: Cutter::starting_at(start_us),
            clock: (opus::RATE, 0),
            since_us: 0,
            events: VecDeque::new(),
        }
    }

    fn set(&mut self, audio: Audio) {
        self.since_us = self.now_us();
        self.clock = (audio.rate(), 0);
        self.muxer.set_audio(audio);
    }

    fn now_us(&self) -> u64 {
        let (rate, ticks) = self.clock;
        let us = u128::from(ticks) * 1_000_000 / u128::from(rate.max(1));
        self.since_us.saturating_add(u64::try_from(us).unwrap_or(u64::MAX))
    }

    fn take(&mut self, bytes: bytes::Bytes, ticks: u32) -> Result<(), String> {
        let sample = Sample { at_us: self.now_us(), shift_us: 0, key: true, bytes };
        self.clock.1 += u64::from(ticks);
        self.muxer.push(Lane::Audio, sample).map_err(|error| error.to_string())?;
        self.move_on(false)
    }

    /// From the muxer through the cutter.
    fn move_on(&mut self, ends: bool) -> Result<(), String> {
        if ends {
            self.muxer.finish();
        }
        while let Some(bytes) = self.muxer.poll() {
            self.cutter.push(&bytes).map_err(|error| error.to_string())?;
        }
        if ends {
            self.cutter.finish();
        }
        // A cutter without a codec header advises on encoders, which is not for here.
        let events = std::iter::from_fn(|| self.cutter.poll());
        self.events.extend(events.filter(|event| !matches!(event, IngestEvent::Advice(_))));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use peerstream_sdk::traits::ingest::Unit;

    use super::*;
    use crate::adts::tests::frame;
    use crate::comments::tests::list;
    use crate::ogg::tests::page;

    const HEAD: &[u8] = b"OpusHead\x01\x02\x38\x01\x80\xbb\0\0\0\0\0";

    /// A track of so many packets of 20 ms.
    fn track(serial: u32, head: &[u8], comments: &[&str], packets: u32) -> Vec<u8> {
        let tags = [b"OpusTags".as_slice(), &list(comments)].concat();
        let mut bytes = page(2, serial, 0, &[head.len() as u8], head);
        bytes.extend(page(0, serial, 1, &[tags.len() as u8], &tags));
        for number in 0..packets {
            bytes.extend(page(0, serial, 2 + number, &[240], &[&[0xfc], &[7; 239][..]].concat()));
        }
        bytes
    }

    fn events(rewrap: &mut Rewrap, bytes: &[u8]) -> Vec<IngestEvent> {
        bytes.chunks(999).for_each(|bytes| rewrap.push(bytes).unwrap());
        rewrap.finish();
        std::iter::from_fn(|| rewrap.poll()).collect()
    }

    fn units(events: &[IngestEvent]) -> Vec<&Unit> {
        let units = events.iter().filter_map(|event| match event {
            IngestEvent::Unit(unit) => Some(unit),
            _ => None,
        });
        units.collect()
    }

    fn titles(events: &[IngestEvent]) -> Vec<&str> {
        let titles = events.iter().filter_map(|event| match event {
            IngestEvent::Title(title) => Some(title.as_str()),
            _ => None,
        });
        titles.collect()
    }

    fn inits(events: &[IngestEvent]) -> Vec<&str> {
        let types = events.iter().filter_map(|event| match event {
            IngestEvent::Init { mime, .. } => Some(mime.as_str()),
            _ => None,
        });
        types.collect()
    }

    #[test]
    fn opus_comes_in_half_seconds_that_begin_where_the_publication_does() {
        let mut rewrap = Rewrap::opus(60_000_000);
        let events = events(&mut rewrap, &track(1, HEAD, &["title=So What"], 100));
        assert_eq!(inits(&events), ["audio/mp4; codecs=\"opus\""]);
        let units = units(&events);
        let times: Vec<_> = units.iter().map(|unit| (unit.pts_us - 60_000_000, unit.duration_us)).collect();
        assert_eq!(times, [(0, 500_000), (500_000, 500_000), (1_000_000, 500_000), (1_500_000, 500_000)]);
        assert!(units.iter().all(|unit| unit.join_point && !unit.discontinuity));
    }

    #[test]
    fn headers_of_a_half_second_of_96_kbit_per_second_take_less_than_4_percent() {
        let events = events(&mut Rewrap::opus(0), &track(1, HEAD, &[], 1000));
        let bytes: usize = units(&events).iter().map(|unit| unit.payload.len()).sum();
        assert!(bytes < 1000 * 240 * 104 / 100, "{bytes}");
    }

    #[test]
    fn another_track_brings_its_title_and_no_cut() {
        let other_skip = b"OpusHead\x01\x02\x00\x0f\x44\xac\0\0\0\0\0";
        let bytes = [
            track(1, HEAD, &["artist=Miles", "title=So What"], 30),
            track(2, other_skip, &["TITLE=Freddie Freeloader"], 30),
            track(3, HEAD, &[], 30),
            track(4, HEAD, &[], 30),
        ];
        let events = events(&mut Rewrap::opus(0), &bytes.concat());
        assert_eq!(titles(&events), ["Miles - So What", "Freddie Freeloader", ""]);
        assert_eq!(inits(&events).len(), 1);
        let units = units(&events);
        assert!(units.iter().all(|unit| !unit.discontinuity));
        let last = units.last().unwrap();
        assert_eq!(last.pts_us + u64::from(last.duration_us), 4 * 30 * 20_000);
    }

    #[test]
    fn a_track_with_other_channels_gets_a_codec_header_and_the_times_go_on() {
        let mono = b"OpusHead\x01\x01\x38\x01\x80\xbb\0\0\0\0\0";
        let bytes = [track(1, HEAD, &[], 30), track(2, mono, &[], 30)].concat();
        let events = events(&mut Rewrap::opus(0), &bytes);
        assert_eq!(inits(&events).len(), 2);
        let last = *units(&events).last().unwrap();
        assert_eq!(last.pts_us + u64::from(last.duration_us), 60 * 20_000);
    }

    #[test]
    fn aac_comes_in_half_seconds_too() {
        let mut rewrap = Rewrap::adts(false, 0);
        let bytes: Vec<u8> = (0..100).flat_map(|_| frame(3, &[0x21; 250])).collect();
        let events = events(&mut rewrap, &bytes);
        assert_eq!(inits(&events), ["audio/mp4; codecs=\"mp4a.40.2\""]);
        let units = units(&events);
        assert!((485_000..=500_000).contains(&units[0].duration_us), "{}", units[0].duration_us);
        assert_eq!(rewrap.damaged(), 0);
        let he = frame(6, &[0x21; 250]).repeat(50);
        assert_eq!(inits(&self::events(&mut Rewrap::adts(true, 0), &he)), ["audio/mp4; codecs=\"mp4a.40.5\""]);
    }

    #[test]
    fn packets_that_are_none_are_counted() {
        let bytes = [track(1, HEAD, &[], 5), page(0, 1, 7, &[0, 2], &[0xff, 0x3f]), page(0, 1, 8, &[1], &[0xfc])];
        let mut rewrap = Rewrap::opus(0);
        let events = events(&mut rewrap, &bytes.concat());
        assert_eq!((rewrap.damaged(), units(&events)[0].duration_us), (1, 120_000), "an empty one does no harm");
    }
}
