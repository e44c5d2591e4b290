//! The bodies of the fuzz targets: `cargo fuzz` needs only a shell around [`fuzz_cut`], [`fuzz_mux`] and [`fuzz_shift`].

use peerstream_traits::ingest::{INIT_BYTES_MAX, IngestEvent, UNIT_BYTES_MAX};

use crate::cutter::Cutter;
use crate::format::{Audio, Video};
use crate::mux::{Lane, Muxer, Sample};
use crate::shift::Shift;

/// As many as there are kinds of advice.
const ADVICE_MAX: usize = 9;

/// Cuts bytes whole and in pieces of a length taken from the first byte; panics if the two differ or a promise breaks.
pub fn fuzz_cut(data: &[u8]) {
    let Some((&first, input)) = data.split_first() else { return };
    let whole = cut(input, usize::MAX);
    assert_eq!(whole, cut(input, usize::from(first) + 1), "pieces of {} bytes", usize::from(first) + 1);
    check_promises(&whole.0);
}

/// Reads bytes as the format that the first byte names, and muxes them as samples; panics if the cutter does not take that.
pub fn fuzz_mux(data: &[u8]) {
    let Some((&which, record)) = data.split_first() else { return };
    let mut muxer = Muxer::default();
    match which % 5 {
        0 => drop(Video::h264(record).map(|video| muxer.set_video(video))),
        1 => drop(Video::hevc(record).map(|video| muxer.set_video(video))),
        2 => drop(Audio::aac(record).map(|audio| muxer.set_audio(audio))),
        3 => drop(Audio::opus(record).map(|audio| muxer.set_audio(audio))),
        _ => drop(Video::av1(record).map(|video| muxer.set_video(video))),
    }
    for (n, bytes) in record.chunks(8).enumerate() {
        let at_us = u64::from(bytes[0]) * 10_000 * n as u64;
        let sample = Sample { at_us, shift_us: 0, key: n % 4 == 0, bytes: bytes.to_vec().into() };
        let lane = if which & 0x80 == 0 { Lane::Video } else { Lane::Audio };
        muxer.push(lane, sample).expect("small samples are taken");
    }
    muxer.finish();
    let bytes: Vec<u8> = std::iter::from_fn(|| muxer.poll()).flatten().collect();
    let (events, error) = cut(&bytes, usize::MAX);
    assert_eq!(error, None);
    check_promises(&events);
}

/// Reads bytes as a codec header, and as fragments of a header that is sound; panics if a length changes.
pub fn fuzz_shift(data: &[u8]) {
    let _ = Shift::new(data);
    let sound = Audio::opus(b"OpusHead\x01\x02\x38\x01\x80\xbb\0\0\0\0\0").expect("a header");
    let mut shift = Shift::new(&crate::mux::init::init(None, Some(&sound))).expect("our own header is read");
    for _ in 0..2 {
        if let Ok(moved) = shift.apply(data) {
            assert_eq!(moved.len(), data.len());
        }
    }
}

/// All events of an input given in pieces of `len` bytes, then given once more as a loop; and the error, if any.
pub fn cut(input: &[u8], len: usize) -> (Vec<IngestEvent>, Option<String>) {
    let (mut cutter, mut events) = (Cutter::new(), Vec::new());
    for _ in 0..2 {
        for piece in input.chunks(len) {
            let pushed = cutter.push(piece);
            events.extend(std::iter::from_fn(|| cutter.poll()));
            if let Err(error) = pushed {
                return (events, Some(error.to_string()));
            }
        }
        cutter.finish();
        events.extend(std::iter::from_fn(|| cutter.poll()));
        cutter.again();
    }
    (events, None)
}

/// Asserts what every reader of events may rely on.
pub fn check_promises(events: &[IngestEvent]) {
    let (mut last, mut begun, mut advice) = (0, false, 0);
    for event in events {
        match event {
            IngestEvent::Init { bytes, mime } => {
                assert!(bytes.len() <= INIT_BYTES_MAX && mime.len() <= 255, "init of {} bytes, {mime}", bytes.len());
                begun = true;
            }
            IngestEvent::Unit(unit) => {
                assert!(begun, "a unit before its init");
                assert!(!unit.payload.is_empty() && unit.payload.len() <= UNIT_BYTES_MAX);
                assert!(unit.pts_us >= last, "time goes back from {last} to {}", unit.pts_us);
                last = unit.pts_us;
            }
            IngestEvent::Title(_) => panic!("a cutter knows no titles"),
            IngestEvent::Advice(text) => {
                assert!(!text.is_empty());
                advice += 1;
            }
        }
    }
    assert!(advice <= ADVICE_MAX, "{advice} pieces of advice");
}
