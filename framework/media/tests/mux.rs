//! What is muxed is cut without advice, decodes without a word, and is mostly media.

mod common;

use std::sync::LazyLock;

use bytes::Bytes;
use common::samples::{self, Input};
use common::tools::{has_tools, play, run_ffmpeg};
use common::{Cut, fixture};
use peerstream_media::Muxer;
use peerstream_media::format::{Audio, Video};
use peerstream_media::fuzz::{check_promises, fuzz_mux};
use peerstream_media::mux::{Lane, Sample, Settings};
use proptest::prelude::*;

/// Muxes an input's samples, in the order of their times.
fn muxed(input: &Input, settings: Settings) -> Vec<u8> {
    let mut muxer = Muxer::new(settings);
    input.video.iter().for_each(|video| muxer.set_video(video.clone()));
    input.audio.iter().for_each(|audio| muxer.set_audio(audio.clone()));
    for (lane, sample) in &input.samples {
        muxer.push(*lane, sample.clone()).unwrap();
    }
    muxer.finish();
    assert_eq!(muxer.dropped(), 0);
    std::iter::from_fn(|| muxer.poll()).flatten().collect()
}

fn check_plays(name: &str, whole: &[u8]) {
    let bytes = muxed(&samples::of(whole), Settings::default());
    let cut = Cut::of(&bytes, 1);
    assert_eq!(cut.error, None, "{name}");
    check_promises(&cut.events);
    assert_eq!(cut.mimes(), Cut::of(whole, 1).mimes(), "{name}");
    let (times, told) = (play(&cut.played()), play(whole));
    for (track, told) in told {
        let off = told.iter().zip(&times[&track]).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        assert!(told.len() == times[&track].len() && off < 0.025, "{name}: track {track} is {off} s off");
    }
}

#[test]
fn what_is_muxed_decodes_cleanly_at_the_times_it_had() {
    if !has_tools() {
        return;
    }
    for name in ["h264-aac.mp4", "aac.mp4", "opus.mp4", "b-frames.mp4", "hevc.mp4"] {
        check_plays(name, &fixture(name));
    }
}

#[test]
fn av1_decodes_cleanly_too() {
    if !has_tools() {
        return;
    }
    let args = "-f lavfi -i testsrc2=size=320x180:rate=30:duration=1 -c:v libsvtav1 -preset 12 -g 15 -movflags frag_every_frame+empty_moov+default_base_moof -f mp4 -";
    check_plays("av1", &run_ffmpeg(args));
}

/// Sound whose packets vary as those of real encoders do, and pictures of 2.5 Mbit/s.
fn synthetic(seconds: u64, video: bool, audio: Audio, audio_bytes: usize) -> Input {
    let mut samples = Vec::new();
    let packet_us = if audio.rate() == 48_000 && audio_bytes == 240 { 20_000 } else { 21_333 };
    for n in 0..seconds * 1_000_000 / packet_us {
        let mut bytes = vec![0xfc; audio_bytes + (n as usize * 7) % 21];
        bytes.truncate(audio_bytes + (n as usize * 7) % 21 - 10);
        samples.push((Lane::Audio, Sample { at_us: n * packet_us, shift_us: 0, key: true, bytes: bytes.into() }));
    }
    if video {
        for n in 0..seconds * 30 {
            let key = n % 30 == 0;
            let bytes = Bytes::from(vec![0; if key { 23_000 } else { 10_000 }]);
            samples.push((Lane::Video, Sample { at_us: n * 1000 / 30 * 1000, shift_us: 0, key, bytes }));
        }
        samples.sort_by_key(|(_, sample)| sample.at_us);
    }
    let video = video.then(|| samples::of(&fixture("h264-aac.mp4")).video.unwrap());
    Input { video, audio: Some(audio), samples }
}

fn media_bytes(input: &Input) -> usize {
    input.samples.iter().map(|(_, sample)| sample.bytes.len()).sum()
}

#[test]
fn a_fragment_is_a_unit_and_little_of_it_is_header() {
    let input = synthetic(10, true, samples::of(&fixture("h264-aac.mp4")).audio.unwrap(), 341);
    let bytes = muxed(&input, Settings::default());
    let cut = Cut::of(&bytes, 1);
    let fragments = bytes.windows(4).filter(|name| name == b"moof").count();
    assert!(cut.units().len() <= 102 && fragments <= cut.units().len() + 5, "{fragments} in {}", cut.units().len());
    let share = (bytes.len() - media_bytes(&input)) as f64 / bytes.len() as f64;
    eprintln!("2.5 Mbit/s with sound: {fragments} fragments, {:.2} % headers", share * 100.0);
    assert!(share < 0.012, "{share}");
}

#[test]
fn sound_alone_goes_out_twice_a_second_and_little_of_it_is_header() {
    let inputs = [("AAC", "aac.mp4", 256), ("Opus", "opus.mp4", 240)];
    for (name, file, packet) in inputs {
        let input = synthetic(30, false, samples::of(&fixture(file)).audio.unwrap(), packet);
        let cut = Cut::of(&muxed(&input, Settings::default()), 1);
        let units = cut.units();
        let units = &units[..units.len() - 1];
        assert!(units.iter().all(|unit| (480_000..=500_000).contains(&unit.duration_us)), "{name}");
        let payload: usize = units.iter().map(|unit| unit.payload.len()).sum();
        let media: usize = units.iter().map(|unit| media_in(&unit.payload)).sum();
        // A segment's header on the wire: 146 bytes, and 32 for each piece of 4 KiB.
        let signed: usize = units.iter().map(|unit| 146 + 32 * unit.payload.len().div_ceil(4096)).sum();
        let moof = (payload - media) as f64 / (payload + signed) as f64;
        let all = (payload - media + signed) as f64 / (payload + signed) as f64;
        eprintln!("{name} at 96 kbit/s: {:.2} % moof, {:.2} % with the signed header", moof * 100.0, all * 100.0);
        assert!(moof < 0.032 && all < 0.065, "{name}: {moof} {all}");
    }
}

/// The bytes of media in a unit of one fragment.
fn media_in(payload: &[u8]) -> usize {
    let mdat = peerstream_media::boxes::find(payload, b"mdat").unwrap().unwrap();
    mdat.body.len()
}

/// Formats to change between.
static FORMATS: LazyLock<(Vec<Video>, Vec<Audio>)> = LazyLock::new(|| {
    let inputs = ["h264-aac.mp4", "opus.mp4", "hevc.mp4", "aac.mp4"].map(|name| samples::of(&fixture(name)));
    let videos = inputs.iter().filter_map(|input| input.video.clone()).collect();
    (videos, inputs.iter().filter_map(|input| input.audio.clone()).collect())
});

fn any_sample() -> impl Strategy<Value = (bool, Sample)> {
    let at = prop_oneof![
        4 => (0u64..20_000).prop_map(|ms| ms * 1000),
        1 => any::<u64>(),
    ];
    let bytes = prop_oneof![
        8 => prop::collection::vec(any::<u8>(), 0..40),
        1 => Just(vec![0xfc; 70_000]),
    ];
    (any::<bool>(), at, any::<i32>(), any::<bool>(), bytes)
        .prop_map(|(video, at_us, shift_us, key, bytes)| (video, Sample { at_us, shift_us, key, bytes: bytes.into() }))
}

#[derive(Clone, Debug)]
enum Step {
    Push(bool, Sample),
    Video(usize),
    Audio(usize),
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        20 => any_sample().prop_map(|(video, sample)| Step::Push(video, sample)),
        1 => (0usize..3).prop_map(Step::Video),
        1 => (0usize..3).prop_map(Step::Audio),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_is_muxed_the_cutter_takes(steps in prop::collection::vec(any_step(), 0..300)) {
        let (videos, audios) = &*FORMATS;
        let mut muxer = Muxer::default();
        for step in steps {
            match step {
                Step::Push(video, sample) => {
                    muxer.push(if video { Lane::Video } else { Lane::Audio }, sample).unwrap();
                }
                Step::Video(n) => muxer.set_video(videos[n % videos.len()].clone()),
                Step::Audio(n) => muxer.set_audio(audios[n % audios.len()].clone()),
            }
        }
        muxer.finish();
        let bytes: Vec<u8> = std::iter::from_fn(|| muxer.poll()).flatten().collect();
        let cut = Cut::of(&bytes, 1);
        prop_assert_eq!(cut.error, None);
        check_promises(&cut.events);
    }

    #[test]
    fn any_bytes_are_a_format_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        fuzz_mux(&bytes);
    }

    #[test]
    fn damaged_formats_are_read_or_refused(
        which in 0usize..4,
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let name = ["h264-aac.mp4", "hevc.mp4", "aac.mp4", "opus.mp4"][which];
        let mut record = samples::record(&fixture(name), [b"avcC", b"hvcC", b"esds", b"dOps"][which]);
        for (at, byte) in damage {
            let at = at.index(record.len());
            record[at] = byte;
        }
        record.insert(0, which as u8);
        fuzz_mux(&record);
    }
}
