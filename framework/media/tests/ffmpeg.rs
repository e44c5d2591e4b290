//! What is cut plays: ffmpeg decodes it without a word, and its times go up.
//!
//! Skipped without ffmpeg, unless `CI` or `PEERSTREAM_REQUIRE_TOOLS=1` asks for it.

mod common;

use std::collections::BTreeMap;
use std::process::Command;

use common::tools::{has_tools, play};
use common::{Cut, fixture};

fn check_rising(name: &str, times: &BTreeMap<u32, Vec<f64>>) {
    for (track, times) in times {
        let fall = times.windows(2).find(|pair| pair[1] <= pair[0]);
        assert_eq!(fall, None, "{name}: track {track} goes back");
    }
}

#[test]
fn what_is_cut_decodes_cleanly() {
    if !has_tools() {
        return;
    }
    for name in ["h264-aac.mp4", "aac.mp4", "opus.mp4", "b-frames.mp4", "long-gop.mp4", "per-gop.mp4", "hevc.mp4"] {
        let whole = fixture(name);
        let times = play(&Cut::of(&whole, 1).played());
        check_rising(name, &times);
        for (track, input) in play(&whole) {
            let off = input.iter().zip(&times[&track]).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            assert!(input.len() == times[&track].len() && off < 0.025, "{name}: track {track} is {off} s off");
        }
    }
}

#[test]
fn a_loop_is_one_film_without_gap_or_overlap() {
    if !has_tools() {
        return;
    }
    for (name, seconds) in [("h264-aac.mp4", 3.0), ("per-gop.mp4", 3.0), ("aac.mp4", 3.0), ("opus.mp4", 2.0)] {
        let once = play(&Cut::of(&fixture(name), 1).played());
        let times = play(&Cut::of(&fixture(name), 4).played());
        check_rising(name, &times);
        for (track, times) in &times {
            let count = once[track].len();
            assert_eq!(times.len(), 4 * count, "{name}: track {track} lost packets");
            let shift = times[count] - times[0];
            assert!((shift - seconds).abs() < 0.05, "{name}: track {track} loops after {shift} s");
        }
        let shifts: Vec<_> = times.iter().map(|(track, times)| times[3 * once[track].len()] - times[0]).collect();
        assert!(shifts.iter().all(|shift| (shift - shifts[0]).abs() < 0.000_1), "{name}: out of step: {shifts:?}");
    }
}

#[test]
fn a_clock_that_went_back_decodes_as_one_film() {
    if !has_tools() {
        return;
    }
    let times = play(&Cut::of(&fixture("h264-aac.mp4").repeat(3), 1).played());
    check_rising("three times", &times);
    assert_eq!(times[&0].len(), 270);
}

#[test]
fn the_command_we_print_needs_no_advice() {
    if !has_tools() {
        return;
    }
    let (command, _) = peerstream_media::FFMPEG_COMMAND.split_once(" | ").unwrap();
    let args = command.strip_prefix("ffmpeg -i INPUT ").unwrap().split(' ');
    let picture = ["-f", "lavfi", "-i", "testsrc2=size=320x180:rate=30:duration=4"];
    let sound = ["-f", "lavfi", "-i", "sine=sample_rate=48000:duration=4"];
    let live = Command::new("ffmpeg").args(["-v", "error"]).args(picture).args(sound).args(args).output().unwrap();
    assert!(live.status.success(), "{}", String::from_utf8_lossy(&live.stderr));
    let cut = Cut::of(&live.stdout, 1);
    assert_eq!((cut.error.as_deref(), cut.advice()), (None, vec![]));
    assert_eq!(cut.units().iter().filter(|unit| unit.join_point).count(), 4);
    assert!(cut.units().len() <= 42, "{} units in 4 s", cut.units().len());
    check_rising("live", &play(&cut.played()));
}
