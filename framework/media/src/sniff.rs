//! Says what an input is that is not an MP4.

use peerstream_traits::ingest::IngestError;

use crate::FFMPEG_COMMAND;
use crate::boxes::malformed;

/// What files of other kinds begin with.
const KINDS: [(&[u8], &str); 15] = [
    (b"\x1a\x45\xdf\xa3", "Matroska or WebM"),
    (b"\x47", "MPEG-TS"),
    (b"FLV", "FLV"),
    (b"OggS", "Ogg"),
    (b"RIFF", "WAV or AVI (RIFF)"),
    (b"ID3", "MP3"),
    (b"\xff\xfb", "MP3"),
    (b"\xff\xf3", "MP3"),
    (b"\xff\xf1", "raw AAC (ADTS)"),
    (b"\xff\xf9", "raw AAC (ADTS)"),
    (b"fLaC", "FLAC"),
    (b"\0\0\0\x01", "raw H.264 or H.265"),
    (b"\0\0\x01", "MPEG video or program stream"),
    (b"#EXTM3U", "an HLS playlist"),
    (b"YUV4MPEG2", "raw pictures (Y4M)"),
];

/// The error for an input whose first box is none of an MP4; needs its first 8 bytes.
pub fn not_an_mp4(bytes: &[u8]) -> IngestError {
    let first = &bytes[..bytes.len().min(8)];
    let known = KINDS.iter().find(|(magic, _)| first.starts_with(&magic[..magic.len().min(8)]));
    let found = known.map_or_else(|| hex(first), |(_, name)| (*name).to_owned());
    malformed(format!("fragmented MP4 expected, found {found}: {FFMPEG_COMMAND}"))
}

fn hex(bytes: &[u8]) -> String {
    let pairs: Vec<_> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("bytes {}", pairs.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_names_what_was_found_and_what_to_do() {
        let text = not_an_mp4(b"\x1a\x45\xdf\xa3\x01\0\0\0\0").to_string();
        assert!(text.starts_with("fragmented MP4 expected, found Matroska or WebM: ffmpeg -i"), "{text}");
        assert!(not_an_mp4(b"hello, world").to_string().contains("bytes 68 65 6c 6c 6f 2c 20 77"));
    }
}
