//! Writes the codec header: `ftyp` and `moov`.

use super::write::{boxed, full, half, long, word, words, zeros};
use super::{AUDIO_ID, VIDEO_ID, VIDEO_TICKS};
use crate::boxes::FourCc;
use crate::format::{Audio, AudioCodec, Video};

/// A sample that depends on others and is no key frame.
pub const DELTA: u32 = 0x0101_0000;
/// A sample that depends on no other.
pub const SYNC: u32 = 0x0200_0000;

/// The unit matrix of all boxes that have one.
const MATRIX: [u32; 9] = [0x1_0000, 0, 0, 0, 0x1_0000, 0, 0, 0, 0x4000_0000];
/// "No language in particular".
const UNDETERMINED: u16 = 0x55c4;

/// The codec header of one or two tracks.
pub fn init(video: Option<&Video>, audio: Option<&Audio>) -> Vec<u8> {
    let mut out = Vec::new();
    boxed(&mut out, b"ftyp", |out| {
        out.extend(b"iso6");
        word(out, 1);
        out.extend(b"iso6iso5mp41");
    });
    boxed(&mut out, b"moov", |out| {
        movie_header(out);
        video.iter().for_each(|video| video_track(out, video));
        audio.iter().for_each(|audio| audio_track(out, audio));
        boxed(out, b"mvex", |out| {
            video.iter().for_each(|_| defaults(out, VIDEO_ID, 0, DELTA));
            audio.iter().for_each(|audio| defaults(out, AUDIO_ID, audio.frame, SYNC));
        });
    });
    out
}

fn movie_header(out: &mut Vec<u8>) {
    full(out, b"mvhd", 0, 0, |out| {
        words(out, [0, 0, 1000, 0, 0x1_0000]);
        half(out, 0x100);
        zeros(out, 10);
        words(out, MATRIX);
        zeros(out, 24);
        word(out, AUDIO_ID + 1);
    });
}

fn defaults(out: &mut Vec<u8>, id: u32, duration: u32, flags: u32) {
    full(out, b"trex", 0, 0, |out| words(out, [id, 1, duration, 0, flags]));
}

fn video_track(out: &mut Vec<u8>, video: &Video) {
    let (width, height) = video.size();
    track(
        out,
        Track { id: VIDEO_ID, ticks: VIDEO_TICKS, handler: *b"vide", volume: 0, size: (width, height) },
        |out| {
            boxed(out, &video.entry, |out| {
                zeros(out, 6);
                half(out, 1);
                zeros(out, 16);
                half(out, width);
                half(out, height);
                words(out, [0x48_0000, 0x48_0000, 0]);
                half(out, 1);
                zeros(out, 32);
                half(out, 24);
                half(out, 0xffff);
                boxed(out, &video.configuration, |out| out.extend(&video.record));
            });
        },
    );
}

fn audio_track(out: &mut Vec<u8>, audio: &Audio) {
    let entry = match audio.codec {
        AudioCodec::Aac(_) => b"mp4a",
        AudioCodec::Opus(_) => b"Opus",
    };
    track(out, Track { id: AUDIO_ID, ticks: audio.rate, handler: *b"soun", volume: 0x100, size: (0, 0) }, |out| {
        boxed(out, entry, |out| {
            zeros(out, 6);
            half(out, 1);
            zeros(out, 8);
            half(out, audio.channels);
            half(out, 16);
            zeros(out, 4);
            // Rates above 65,535 do not fit; the codec's own header tells them.
            half(out, u16::try_from(audio.rate).unwrap_or(0));
            half(out, 0);
            match &audio.codec {
                AudioCodec::Aac(config) => elementary_stream(out, config),
                AudioCodec::Opus(head) => boxed(out, b"dOps", |out| out.extend(head)),
            }
        });
    });
}

/// The descriptors of MPEG-4 around AAC's setup.
fn elementary_stream(out: &mut Vec<u8>, config: &[u8]) {
    full(out, b"esds", 0, 0, |out| {
        descriptor(out, 0x03, |out| {
            half(out, 1);
            out.push(0);
            descriptor(out, 0x04, |out| {
                out.extend([0x40, 0x15, 0, 0, 0]);
                words(out, [0, 0]);
                descriptor(out, 0x05, |out| out.extend(config));
            });
            descriptor(out, 0x06, |out| out.push(2));
        });
    });
}

fn descriptor(out: &mut Vec<u8>, tag: u8, body: impl FnOnce(&mut Vec<u8>)) {
    out.push(tag);
    let at = out.len();
    zeros(out, 4);
    body(out);
    let len = out.len() - at - 4;
    // Seven bits each, all but the last with a mark that more follow.
    out[at..at + 4]
        .copy_from_slice(&[21, 14, 7, 0].map(|shift| (len >> shift & 0x7f) as u8 | if shift > 0 { 0x80 } else { 0 }));
}

/// What all tracks have.
struct Track {
    id: u32,
    ticks: u32,
    handler: FourCc,
    volume: u16,
    size: (u16, u16),
}

fn track(out: &mut Vec<u8>, track: Track, entry: impl FnOnce(&mut Vec<u8>)) {
    boxed(out, b"trak", |out| {
        full(out, b"tkhd", 0, 3, |out| {
            words(out, [0, 0, track.id, 0, 0]);
            long(out, 0);
            words(out, [0, u32::from(track.volume) << 16]);
            words(out, MATRIX);
            words(out, [u32::from(track.size.0) << 16, u32::from(track.size.1) << 16]);
        });
        boxed(out, b"mdia", |out| {
            full(out, b"mdhd", 0, 0, |out| {
                words(out, [0, 0, track.ticks, 0]);
                half(out, UNDETERMINED);
                half(out, 0);
            });
            full(out, b"hdlr", 0, 0, |out| {
                word(out, 0);
                out.extend(track.handler);
                zeros(out, 13);
            });
            boxed(out, b"minf", |out| media(out, &track.handler, entry));
        });
    });
}

fn media(out: &mut Vec<u8>, handler: &FourCc, entry: impl FnOnce(&mut Vec<u8>)) {
    if handler == b"vide" {
        full(out, b"vmhd", 0, 1, |out| zeros(out, 8));
    } else {
        full(out, b"smhd", 0, 0, |out| zeros(out, 4));
    }
    boxed(out, b"dinf", |out| {
        full(out, b"dref", 0, 0, |out| {
            word(out, 1);
            full(out, b"url ", 0, 1, |_| {});
        });
    });
    boxed(out, b"stbl", |out| {
        full(out, b"stsd", 0, 0, |out| {
            word(out, 1);
            entry(out);
        });
        full(out, b"stts", 0, 0, |out| word(out, 0));
        full(out, b"stsc", 0, 0, |out| word(out, 0));
        full(out, b"stsz", 0, 0, |out| words(out, [0, 0]));
        full(out, b"stco", 0, 0, |out| word(out, 0));
    });
}
