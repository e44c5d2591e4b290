//! How files made by ffmpeg are cut, and what the streamer is told about them.

mod common;

use common::{Cut, cut, fixture};

#[test]
fn sound_and_picture_become_units_of_100_ms_that_start_at_key_frames() {
    let cut = cut("h264-aac.mp4");
    assert_eq!((cut.error.as_deref(), cut.advice().len()), (None, 0), "{:?}", cut.advice());
    assert_eq!(cut.mimes(), [r#"video/mp4; codecs="avc1.64001f,mp4a.40.2""#]);
    let joins: Vec<_> = cut.units().iter().filter(|unit| unit.join_point).map(|unit| unit.pts_us).collect();
    assert_eq!(joins, [0, 1_021_354, 2_021_354]);
    let units = cut.units();
    assert!(units.iter().all(|unit| !unit.discontinuity && unit.duration_us <= 500_000));
    let pictures: Vec<_> = units.iter().filter(|unit| unit.payload.len() > 2500).collect();
    assert!(pictures.iter().all(|unit| unit.duration_us >= 95_000), "{pictures:?}");
}

#[test]
fn units_follow_each_other_without_a_gap() {
    for name in ["h264-aac.mp4", "long-gop.mp4", "aac.mp4", "opus.mp4"] {
        let cut = cut(name);
        for pair in cut.units().windows(2) {
            let end = pair[0].pts_us + u64::from(pair[0].duration_us);
            assert!(end.abs_diff(pair[1].pts_us) < 1000, "{name}: {end} then {}", pair[1].pts_us);
        }
    }
}

#[test]
fn sound_alone_is_gathered_to_4_kib_and_joined_anywhere() {
    for (name, mime) in [("aac.mp4", r#"audio/mp4; codecs="mp4a.40.2""#), ("opus.mp4", r#"audio/mp4; codecs="opus""#)] {
        let cut = cut(name);
        assert_eq!(cut.mimes(), [mime]);
        assert!(cut.advice().is_empty(), "{:?}", cut.advice());
        let units = cut.units();
        assert!(units.iter().all(|unit| unit.join_point && unit.duration_us <= 500_000), "{name}");
        let (_, full) = units.split_last().unwrap();
        assert!(full.iter().all(|unit| unit.payload.len() >= 4096), "{name}");
    }
}

#[test]
fn whole_groups_of_pictures_pass_with_advice_on_what_they_cost() {
    let cut = cut("per-gop.mp4");
    assert_eq!(cut.units().iter().map(|unit| unit.pts_us).collect::<Vec<_>>(), [0, 1_021_354, 2_021_354]);
    assert!(cut.units().iter().all(|unit| unit.join_point));
    assert!(cut.advice()[0].starts_with("fragments of 1 s: every viewer lags by as much"), "{:?}", cut.advice());
}

#[test]
fn b_frames_and_rare_key_frames_are_told_with_their_cost() {
    let b_frames = cut("b-frames.mp4");
    assert_eq!(b_frames.advice().len(), 1);
    assert!(b_frames.advice()[0].starts_with("B-frames: every picture waits "), "{:?}", b_frames.advice());
    let long = cut("long-gop.mp4");
    assert!(long.advice()[0].starts_with("key frame every 4 s: joining takes up to 4 s"), "{:?}", long.advice());
    assert_eq!(long.advice().len(), 1);
}

#[test]
fn codecs_that_few_browsers_play_are_told_with_what_to_use() {
    let hevc = cut("hevc.mp4");
    assert!(hevc.mimes()[0].starts_with(r#"video/mp4; codecs="hvc1.1.6.L"#), "{:?}", hevc.mimes());
    assert!(hevc.advice()[0].contains("-c:v libx264"));
    let mp3 = cut("mp3.mp4");
    assert!(mp3.advice()[0].starts_with("MP3 in MP4"), "{:?}", mp3.advice());
    assert!(!mp3.units().is_empty());
}

#[test]
fn a_new_header_is_a_new_init_and_its_first_unit_a_discontinuity_at_a_key_frame() {
    let cut = cut("new-init.mp4");
    assert_eq!((cut.mimes().len(), cut.error.as_deref()), (2, None));
    let breaks: Vec<_> = cut.units().into_iter().filter(|unit| unit.discontinuity).collect();
    assert_eq!(breaks.len(), 1);
    assert!(breaks[0].join_point && breaks[0].pts_us.abs_diff(1_000_000) < 50_000, "{}", breaks[0].pts_us);
    let last = cut.units().last().map(|unit| unit.pts_us + u64::from(unit.duration_us)).unwrap();
    assert!(last.abs_diff(2_000_000) < 50_000, "the second clock follows the first: {last}");
}

#[test]
fn a_clock_that_jumps_back_is_told_and_viewers_never_see_it() {
    let twice = fixture("h264-aac.mp4").repeat(2);
    let cut = Cut::of(&twice, 1);
    assert_eq!((cut.mimes().len(), cut.advice().len()), (1, 1), "{:?}", cut.advice());
    assert!(cut.advice()[0].starts_with("the input's clock jumped back by 3 s"), "{:?}", cut.advice());
    let breaks: Vec<_> = cut.units().into_iter().filter(|unit| unit.discontinuity).collect();
    assert_eq!(breaks.len(), 1);
    assert!(breaks[0].pts_us.abs_diff(3_000_000) < 50_000 && breaks[0].join_point);
}

#[test]
fn a_loop_is_no_discontinuity() {
    let cut = Cut::of(&fixture("h264-aac.mp4"), 3);
    assert_eq!((cut.mimes().len(), cut.advice().len()), (1, 0));
    assert!(cut.units().iter().all(|unit| !unit.discontinuity));
    let joins = cut.units().iter().filter(|unit| unit.join_point).count();
    assert_eq!(joins, 9);
}

#[test]
fn an_mp4_that_is_not_fragmented_is_refused_with_the_command_that_repairs_it() {
    for name in ["plain.mp4", "faststart.mp4"] {
        let error = cut(name).error.unwrap();
        assert!(error.starts_with("this MP4 is not fragmented: "), "{error}");
        assert!(
            error.contains("ffmpeg -i INPUT -c copy -movflags frag_every_frame+empty_moov+default_base_moof"),
            "{error}"
        );
    }
}

#[test]
fn what_is_no_mp4_is_named() {
    let found = |name| cut(name).error.unwrap();
    assert!(found("matroska.mkv").starts_with("fragmented MP4 expected, found Matroska or WebM: ffmpeg"));
    assert!(found("transport.ts").starts_with("fragmented MP4 expected, found MPEG-TS: ffmpeg"));
    let error = Cut::of(b"GET / HTTP/1.1\r\n\r\n", 1).error.unwrap();
    assert!(error.contains("found bytes 47 45") || error.contains("MPEG-TS"), "{error}");
}

#[test]
fn a_cut_off_end_is_dropped_with_a_word() {
    let whole = fixture("h264-aac.mp4");
    let cut = Cut::of(&whole[..whole.len() / 2], 1);
    assert_eq!(cut.error, None);
    assert!(cut.advice()[0].starts_with("the input ended in the middle of a fragment"), "{:?}", cut.advice());
}

#[test]
fn a_box_larger_than_a_unit_is_refused_before_its_bytes_are_waited_for() {
    let mut input = fixture("h264-aac.mp4");
    let mdat = input.windows(4).position(|name| name == b"mdat").unwrap() - 4;
    input[mdat..mdat + 4].copy_from_slice(&(16u32 << 20).to_be_bytes());
    let error = Cut::of(&input[..mdat + 8], 1).error.unwrap();
    assert!(error.contains("16777216 bytes, at most 4194304 expected"), "{error}");
}

#[test]
fn a_fragment_before_the_header_is_refused_with_what_to_do() {
    let input = fixture("h264-aac.mp4");
    let moof = input.windows(4).position(|name| name == b"moof").unwrap() - 4;
    let error = Cut::of(&input[moof..], 1).error.unwrap();
    assert!(error.contains("comes before the codec header (moov)"), "{error}");
}

#[test]
fn an_empty_input_ends_with_a_word() {
    let cut = Cut::of(b"", 1);
    assert_eq!(cut.error, None);
    assert_eq!(cut.advice(), ["the input ended before its codec header (moov): did the encoder fail?"]);
}

#[test]
fn the_demo_clip_loops_in_whole_seconds_and_needs_no_advice() {
    let clip = concat!(env!("CARGO_MANIFEST_DIR"), "/../../hosts/peerstream/assets/demo.mp4");
    let clip = std::fs::read(clip).unwrap();
    assert!(clip.len() <= 1_500_000, "{}", clip.len());
    let cut = Cut::of(&clip, 2);
    assert_eq!((cut.error.as_deref(), cut.advice().len()), (None, 0), "{:?}", cut.advice());
    assert_eq!(cut.mimes(), [r#"video/mp4; codecs="avc1.64001e,mp4a.40.2""#]);
    let joins: Vec<_> = cut.units().iter().filter(|unit| unit.join_point).map(|unit| unit.pts_us).collect();
    assert_eq!(joins, (0..32).map(|second| second * 1_000_000).collect::<Vec<_>>());
    let largest = cut.units().iter().map(|unit| unit.payload.len()).max().unwrap();
    assert!(cut.units().len() <= 330 && largest < 64 * 1024, "{} units, largest {largest}", cut.units().len());
}
