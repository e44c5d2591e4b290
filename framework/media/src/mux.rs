//! Makes fragmented MP4 of samples: samples in, bytes out, no input or output of its own.

mod fragment;
pub(crate) mod init;
pub(crate) mod write;

use std::collections::VecDeque;

use bytes::Bytes;
use peerstream_traits::ingest::{IngestError, UNIT_BYTES_MAX};

use crate::boxes::malformed;
use crate::format::{Audio, Video};
use crate::mux::fragment::{Listed, Run};

const VIDEO_ID: u32 = 1;
pub(crate) const AUDIO_ID: u32 = 2;
/// Ticks per second of pictures: whole in a millisecond and in the usual rates.
const VIDEO_TICKS: u32 = 90_000;

/// The largest sample, in bytes: it must fit into a unit with its header.
pub const SAMPLE_BYTES_MAX: usize = UNIT_BYTES_MAX - 64 * 1024;
/// Samples that wait for the first codec headers, at most.
const WAITING_MAX: usize = 512;
/// Their bytes, at most.
const WAITING_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Encoders with clocks of whole milliseconds give 33, 33 and 33 ms: that is 100 ms too.
const SLACK_US: u64 = 5_000;
/// Sound that comes without pictures in a stream that has some goes out after this long, in microseconds.
const AUDIO_LEAD_US_MAX: u64 = 200_000;
/// Sound is counted by its samples while its clock is no further off than this, in microseconds.
const COUNTED_US_MAX: u64 = 50_000;
/// A clock that goes back by less is mended, one that goes back further has jumped; in microseconds.
const BACK_US_MAX: u64 = 500_000;
/// A picture is never taken to last longer than this, in microseconds.
const PICTURE_US_MAX: u64 = 1_000_000;
/// A new header of sound waits for the next key frame, so that no picture is lost, but not longer than this; in microseconds.
const HEADER_WAIT_US_MAX: u64 = 10_000_000;

/// How a muxer cuts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How much there is in a fragment with pictures, in microseconds.
    pub video_us: u64,
    /// How much there is in a fragment of a stream that is only sound, in microseconds.
    pub audio_us: u64,
    /// How long the header of a second track is waited for, in microseconds of media; 0 when there will be none.
    pub second_track_us: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { video_us: 100_000, audio_us: 500_000, second_track_us: 300_000 }
    }
}

/// Which track a sample belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// Pictures.
    Video,
    /// Sound.
    Audio,
}

/// One encoded picture, or one packet of sound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// When it is decoded, in microseconds of a clock that both tracks share.
    pub at_us: u64,
    /// From decoding to showing, in microseconds; pictures only.
    pub shift_us: i32,
    /// It needs no other; pictures only.
    pub key: bool,
    /// As the container has it: no start codes, no ADTS.
    pub bytes: Bytes,
}

/// Makes fragmented MP4 of a track of pictures, a track of sound, or both.
///
/// Formats come through [`set_video`](Self::set_video) and [`set_audio`](Self::set_audio), samples of both tracks in the order
/// they arrive through [`push`](Self::push), and [`poll`](Self::poll) gives the bytes: a codec header, then fragments, then,
/// whenever a format changes, the next header. The times of pictures are those told; sound counts its samples and follows
/// its clock only when that is more than 50 ms off. A sample goes out with the fragment it fills: nothing waits for the
/// sample behind it, whose time corrects what the duration of the last one was guessed to be.
#[derive(Debug, Default)]
pub struct Muxer {
    settings: Settings,
    /// What was told last.
    told: Formats,
    /// What the header that was written last says.
    written: Formats,
    begun: bool,
    /// When a new header began to wait for a key frame.
    header_waits_since: Option<u64>,
    waiting: VecDeque<(Lane, Sample)>,
    waiting_bytes: usize,
    pictures: Pictures,
    sound: Sound,
    sequence: u32,
    dropped: u64,
    out: VecDeque<Bytes>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Formats {
    video: Option<Video>,
    audio: Option<Audio>,
}

/// The pictures of the fragment that is being filled.
#[derive(Debug, Default)]
struct Pictures {
    run: Run,
    /// When the last one is decoded, in ticks.
    last: Option<u64>,
    /// How long one usually lasts, in ticks.
    usual: u64,
}

/// The sound of the fragment that is being filled.
#[derive(Debug, Default)]
struct Sound {
    run: Run,
    /// How much is in the run, in ticks.
    filled: u64,
    /// Where the next sample belongs, in ticks.
    next: Option<u64>,
}

impl Muxer {
    /// A muxer that cuts so.
    pub fn new(settings: Settings) -> Self {
        Self { settings, ..Self::default() }
    }

    /// How pictures are encoded from now on; telling the same again changes nothing.
    pub fn set_video(&mut self, video: Video) {
        self.told.video = Some(video);
    }

    /// How sound is encoded from now on; telling the same again changes nothing.
    pub fn set_audio(&mut self, audio: Audio) {
        self.told.audio = Some(audio);
    }

    /// Samples that could not be used: of a track without a format, empty, or while a new header waited.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// The next bytes: a whole header or a whole fragment.
    pub fn poll(&mut self) -> Option<Bytes> {
        self.out.pop_front()
    }

    /// Takes the next sample of a track. Fails on one that is larger than [`SAMPLE_BYTES_MAX`].
    pub fn push(&mut self, lane: Lane, sample: Sample) -> Result<(), IngestError> {
        let len = sample.bytes.len();
        if len > SAMPLE_BYTES_MAX {
            return Err(malformed(format!("one sample has {len} bytes, at most {SAMPLE_BYTES_MAX} expected")));
        }
        if self.begun {
            self.take(lane, &sample);
            return Ok(());
        }
        if !self.told.has(lane) || len == 0 {
            self.dropped += 1;
            return Ok(());
        }
        self.waiting_bytes += len;
        self.waiting.push_back((lane, sample));
        if self.can_begin() {
            self.begin();
        }
        Ok(())
    }

    /// The samples have ended: gives out what is left.
    pub fn finish(&mut self) {
        if !self.begun && !self.waiting.is_empty() {
            self.begin();
        }
        self.flush();
    }

    /// Whether both formats are known, or the second was waited for long enough.
    fn can_begin(&self) -> bool {
        let times = || self.waiting.iter().map(|(_, sample)| sample.at_us);
        let (first, last) = (times().min().unwrap_or(0), times().max().unwrap_or(0));
        self.told.has(Lane::Video) && self.told.has(Lane::Audio)
            || last - first >= self.settings.second_track_us
            || self.waiting.len() >= WAITING_MAX
            || self.waiting_bytes >= WAITING_BYTES_MAX
    }

    fn begin(&mut self) {
        self.begun = true;
        self.write_header();
        self.waiting_bytes = 0;
        for (lane, sample) in std::mem::take(&mut self.waiting) {
            self.take(lane, &sample);
        }
    }

    fn write_header(&mut self) {
        self.flush();
        self.written = self.told.clone();
        self.header_waits_since = None;
        self.sound.next = None;
        let Formats { video, audio } = &self.written;
        self.out.push_back(init::init(video.as_ref(), audio.as_ref()).into());
    }

    /// Takes a sample once there is a header.
    fn take(&mut self, lane: Lane, sample: &Sample) {
        if self.told != self.written {
            self.renew(lane, sample);
        }
        let usable = self.written.has(lane) && self.told.same(&self.written, lane) && !sample.bytes.is_empty();
        let taken = usable
            && match lane {
                Lane::Video => self.take_picture(sample),
                Lane::Audio => self.take_sound(sample),
            };
        self.dropped += u64::from(!taken);
    }

    /// Writes the new header if it is time for it: a change of pictures at once, one of sound at a key frame.
    fn renew(&mut self, lane: Lane, sample: &Sample) {
        let since = *self.header_waits_since.get_or_insert(sample.at_us);
        let long = sample.at_us.abs_diff(since) > HEADER_WAIT_US_MAX;
        let video = !self.told.same(&self.written, Lane::Video);
        let key = lane == Lane::Video && (sample.key || video);
        if key || long || self.written.video.is_none() && !video {
            self.write_header();
        }
    }

    fn take_picture(&mut self, sample: &Sample) -> bool {
        let at = self.pictures.at(ticks(sample.at_us, VIDEO_TICKS));
        let apart = self.pictures.last.is_some_and(|last| at < last || at - last > ticks(PICTURE_US_MAX, VIDEO_TICKS));
        // A little sound before a key frame goes with it.
        let cut = sample.key && !self.pictures.run.samples.is_empty();
        if cut || apart || !self.fits(sample) {
            self.flush();
        }
        self.pictures.add(at, sample);
        let span = self.pictures.span();
        if span >= ticks(self.settings.video_us.saturating_sub(SLACK_US), VIDEO_TICKS) {
            self.flush();
        }
        true
    }

    fn take_sound(&mut self, sample: &Sample) -> bool {
        let Some(audio) = &self.written.audio else { return false };
        let Some(duration) = audio.duration(&sample.bytes) else { return false };
        let (rate, usual) = (audio.rate, audio.frame);
        let told = ticks(sample.at_us, rate);
        let at = self.sound.next.filter(|next| next.abs_diff(told) <= ticks(COUNTED_US_MAX, rate)).unwrap_or(told);
        if self.sound.next.is_some_and(|next| next != at) || !self.fits(sample) {
            self.flush();
        }
        self.sound.add(at, duration, &sample.bytes);
        let video = self.written.video.is_some();
        let full = if video { AUDIO_LEAD_US_MAX } else { self.settings.audio_us };
        // As long as one more would be too much.
        if self.sound.filled + u64::from(usual.max(duration)) > ticks(full + SLACK_US, rate) {
            self.flush();
        }
        true
    }

    fn fits(&self, sample: &Sample) -> bool {
        let gathered = self.pictures.run.media.len() + self.sound.run.media.len();
        gathered + sample.bytes.len() <= SAMPLE_BYTES_MAX
    }

    /// Gives out the fragment that is being filled.
    fn flush(&mut self) {
        let (pictures, sound) = (self.pictures.take(), self.sound.take());
        let usual = self.written.audio.as_ref().map_or(0, |audio| audio.frame);
        let runs = [(VIDEO_ID, 0, &pictures), (AUDIO_ID, usual, &sound)];
        let runs: Vec<_> = runs.into_iter().filter(|(.., run)| !run.samples.is_empty()).collect();
        if !runs.is_empty() {
            self.sequence = self.sequence.wrapping_add(1);
            self.out.push_back(fragment::fragment(self.sequence, &runs).into());
        }
    }
}

impl Formats {
    fn has(&self, lane: Lane) -> bool {
        match lane {
            Lane::Video => self.video.is_some(),
            Lane::Audio => self.audio.is_some(),
        }
    }

    fn same(&self, other: &Self, lane: Lane) -> bool {
        match lane {
            Lane::Video => self.video == other.video,
            Lane::Audio => self.audio == other.audio,
        }
    }
}

impl Pictures {
    /// Where a picture goes whose clock says `told`, in ticks: always behind the last one, unless the clock has jumped.
    fn at(&self, told: u64) -> u64 {
        match self.last {
            Some(last) if told <= last && last - told < ticks(BACK_US_MAX, VIDEO_TICKS) => last + 1,
            _ => told,
        }
    }

    fn add(&mut self, at: u64, sample: &Sample) {
        if let Some(last) = self.last {
            self.learn(last, at);
        }
        if self.run.samples.is_empty() {
            self.run.start = at;
            self.run.key = sample.key;
        }
        let shift = i64::from(sample.shift_us) * i64::from(VIDEO_TICKS) / 1_000_000;
        self.run.samples.push(Listed {
            duration: self.guess() as u32,
            size: sample.bytes.len() as u32,
            shift: shift as i32,
        });
        self.run.media.extend_from_slice(&sample.bytes);
        self.last = Some(at);
    }

    /// The time of the next picture says how long the last one lasts.
    fn learn(&mut self, last: u64, at: u64) {
        let Some(lasted) = at.checked_sub(last).filter(|&lasted| lasted <= ticks(PICTURE_US_MAX, VIDEO_TICKS)) else {
            return;
        };
        if let Some(picture) = self.run.samples.last_mut() {
            picture.duration = lasted as u32;
        }
        // Rounded up, or a mean of whole ticks would never rise by less than eight.
        self.usual = if self.usual == 0 { lasted } else { (7 * self.usual + lasted).div_ceil(8) };
    }

    /// How long the last picture lasts, before the next one has told; 30 a second before anything is known.
    fn guess(&self) -> u64 {
        if self.usual == 0 { u64::from(VIDEO_TICKS / 30) } else { self.usual }
    }

    fn span(&self) -> u64 {
        self.run.samples.iter().map(|sample| u64::from(sample.duration)).sum()
    }

    fn take(&mut self) -> Run {
        std::mem::take(&mut self.run)
    }
}

impl Sound {
    fn add(&mut self, at: u64, duration: u32, bytes: &[u8]) {
        if self.run.samples.is_empty() {
            self.run.start = at;
        }
        self.run.samples.push(Listed { duration, size: bytes.len() as u32, shift: 0 });
        self.run.media.extend_from_slice(bytes);
        self.filled += u64::from(duration);
        self.next = Some(at.saturating_add(duration.into()));
    }

    fn take(&mut self) -> Run {
        self.filled = 0;
        std::mem::take(&mut self.run)
    }
}

/// Microseconds as ticks, rounded down; at the end of numbers it stays there.
fn ticks(us: u64, rate: u32) -> u64 {
    u64::try_from(u128::from(us) * u128::from(rate) / 1_000_000).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Cutter;
    use peerstream_traits::ingest::IngestEvent;

    fn audio() -> Audio {
        Audio::aac(&[0x11, 0x90]).unwrap()
    }

    fn other_audio() -> Audio {
        Audio::aac(&[0x12, 0x10]).unwrap()
    }

    fn video() -> Video {
        Video::h264(&crate::format::tests::avc_record()).unwrap()
    }

    fn picture(ms: u64, key: bool) -> Sample {
        Sample { at_us: ms * 1000, shift_us: 0, key, bytes: Bytes::from(vec![1; 2000]) }
    }

    fn sound(us: u64) -> Sample {
        Sample { at_us: us, shift_us: 0, key: true, bytes: Bytes::from(vec![2; 200]) }
    }

    /// The names of what came out: `ftyp` for headers, `moof` for fragments.
    fn names(muxer: &mut Muxer) -> String {
        let name = |bytes: Bytes| if &bytes[4..8] == b"ftyp" { 'H' } else { 'f' };
        std::iter::from_fn(|| muxer.poll()).map(name).collect()
    }

    /// The units that the cutter makes of what came out.
    fn units(muxer: &mut Muxer) -> Vec<(u64, u32)> {
        let mut cutter = Cutter::new();
        std::iter::from_fn(|| muxer.poll()).for_each(|bytes| cutter.push(&bytes).unwrap());
        cutter.finish();
        let events = std::iter::from_fn(|| cutter.poll());
        events
            .filter_map(
                |event| if let IngestEvent::Unit(unit) = event { Some((unit.pts_us, unit.duration_us)) } else { None },
            )
            .collect()
    }

    #[test]
    fn the_header_waits_for_the_second_track_for_300_ms() {
        let mut muxer = Muxer::default();
        muxer.set_video(video());
        for n in 0..9 {
            muxer.push(Lane::Video, picture(n * 33, n == 0)).unwrap();
        }
        assert_eq!(names(&mut muxer), "");
        muxer.push(Lane::Video, picture(300, false)).unwrap();
        assert_eq!(names(&mut muxer), "Hfff", "the pictures that waited are all there");
        let mut muxer = Muxer::default();
        muxer.set_video(video());
        muxer.push(Lane::Video, picture(0, true)).unwrap();
        muxer.set_audio(audio());
        muxer.push(Lane::Audio, sound(0)).unwrap();
        assert_eq!(names(&mut muxer), "H");
    }

    #[test]
    fn a_fragment_leaves_with_the_picture_that_fills_it() {
        let mut muxer = Muxer::new(Settings { second_track_us: 0, ..Settings::default() });
        muxer.set_video(video());
        let mut left = Vec::new();
        for n in 0..12 {
            muxer.push(Lane::Video, picture(n * 1000 / 30, n == 0 || n == 7)).unwrap();
            left.push(names(&mut muxer));
        }
        assert_eq!(left, ["H", "", "f", "", "", "f", "", "f", "", "f", "", ""], "and none reaches over a key frame");
    }

    #[test]
    fn sound_that_comes_later_joins_at_the_next_key_frame() {
        let mut muxer = Muxer::new(Settings { second_track_us: 0, ..Settings::default() });
        muxer.set_video(video());
        muxer.push(Lane::Video, picture(0, true)).unwrap();
        muxer.set_audio(audio());
        muxer.push(Lane::Audio, sound(40_000)).unwrap();
        muxer.push(Lane::Video, picture(40, false)).unwrap();
        assert_eq!((names(&mut muxer).as_str(), muxer.dropped()), ("H", 1));
        muxer.push(Lane::Video, picture(80, true)).unwrap();
        muxer.push(Lane::Audio, sound(90_000)).unwrap();
        muxer.finish();
        assert_eq!((names(&mut muxer).as_str(), muxer.dropped()), ("fHf", 1));
    }

    #[test]
    fn pictures_that_are_encoded_in_another_way_get_a_header_at_once_and_the_same_way_none() {
        let mut muxer = Muxer::new(Settings { second_track_us: 0, ..Settings::default() });
        muxer.set_audio(audio());
        muxer.push(Lane::Audio, sound(0)).unwrap();
        muxer.set_audio(audio());
        muxer.push(Lane::Audio, sound(21_333)).unwrap();
        assert_eq!(names(&mut muxer), "H");
        muxer.set_video(video());
        muxer.push(Lane::Video, picture(50, true)).unwrap();
        muxer.finish();
        assert_eq!(names(&mut muxer), "fHf");
    }

    #[test]
    fn new_sound_without_pictures_gets_a_header_at_once() {
        let mut muxer = Muxer::new(Settings { second_track_us: 0, ..Settings::default() });
        muxer.set_audio(audio());
        muxer.push(Lane::Audio, sound(0)).unwrap();
        muxer.set_audio(other_audio());
        muxer.push(Lane::Audio, sound(21_333)).unwrap();
        muxer.finish();
        assert_eq!((names(&mut muxer).as_str(), muxer.dropped()), ("HfHf", 0));
    }

    #[test]
    fn sound_counts_its_samples_until_its_clock_is_50_ms_off() {
        let mut muxer = Muxer::new(Settings { second_track_us: 0, ..Settings::default() });
        muxer.set_audio(audio());
        // Whole milliseconds, late by up to 40 ms.
        (0..48).for_each(|n| muxer.push(Lane::Audio, sound((n * 21_333 / 1000 + n % 5 * 10) * 1000)).unwrap());
        assert_eq!(units(&mut muxer), [(0, 490_666), (490_666, 490_667)]);
        muxer.push(Lane::Audio, sound(1_100_000)).unwrap();
        muxer.finish();
        let mut cutter = Cutter::new();
        cutter.push(&init::init(None, Some(&audio()))).unwrap();
        std::iter::from_fn(|| muxer.poll()).for_each(|bytes| cutter.push(&bytes).unwrap());
        cutter.finish();
        let starts: Vec<_> = std::iter::from_fn(|| cutter.poll())
            .filter_map(|event| if let IngestEvent::Unit(unit) = event { Some(unit.pts_us) } else { None })
            .collect();
        assert_eq!(
            starts,
            [981_333],
            "what was left; the sample after the gap has a fragment of its own in the same unit"
        );
    }

    #[test]
    fn sound_and_pictures_stay_in_step_for_an_hour_though_their_clocks_differ() {
        let mut muxer = Muxer::default();
        muxer.set_video(video());
        muxer.set_audio(audio());
        let (mut cutter, mut sounds, mut off_max) = (Cutter::new(), 0u64, 0);
        for n in 0..3600 * 10u64 {
            muxer
                .push(Lane::Video, Sample { bytes: Bytes::from_static(&[1; 8]), ..picture(n * 100, n % 10 == 0) })
                .unwrap();
            // A sound card whose second is 100 millionths too long, told in whole milliseconds.
            while sounds * 64 * 10_001 / 30 < n * 100_000 {
                let told = sounds * 64 * 10_001 / 30 / 1000 * 1000;
                muxer.push(Lane::Audio, Sample { bytes: Bytes::from_static(&[2; 4]), ..sound(told) }).unwrap();
                let counted = (muxer.sound.next.map_or(1024, |next| next) - 1024) * 1_000_000 / 48_000;
                off_max = off_max.max(told.abs_diff(counted));
                sounds += 1;
            }
            std::iter::from_fn(|| muxer.poll()).for_each(|bytes| cutter.push(&bytes).unwrap());
            while cutter.poll().is_some() {}
        }
        assert!((45_000..=52_000).contains(&off_max), "at most 50 ms, and then it is mended: {off_max}");
    }

    #[test]
    fn pictures_of_the_same_millisecond_stay_in_order_and_a_jump_ends_the_fragment() {
        let mut muxer = Muxer::new(Settings { second_track_us: 0, ..Settings::default() });
        muxer.set_video(video());
        for ms in [5_000, 5_000, 4_990, 5_040] {
            muxer.push(Lane::Video, picture(ms, ms == 5_000)).unwrap();
        }
        muxer.push(Lane::Video, picture(3_000, true)).unwrap();
        muxer.finish();
        let starts: Vec<_> = units(&mut muxer).into_iter().map(|(start, _)| start).collect();
        assert!(starts.is_sorted() && starts.len() >= 2, "{starts:?}");
    }

    #[test]
    fn a_sample_larger_than_a_unit_is_refused() {
        let mut muxer = Muxer::default();
        muxer.set_video(video());
        let huge = Sample { bytes: vec![0; SAMPLE_BYTES_MAX + 1].into(), ..picture(0, true) };
        assert!(muxer.push(Lane::Video, huge).unwrap_err().to_string().contains("bytes, at most"));
    }
}
