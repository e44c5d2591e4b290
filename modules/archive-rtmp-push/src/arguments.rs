//! What ffmpeg is told.

use std::path::Path;

/// Codecs of a broadcast, as far as RTMP is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tracks {
    pub(crate) video: bool,
    pub(crate) audio: Sound,
}

/// What becomes of the sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sound {
    None,
    Copy,
    /// RTMP does not carry it.
    Encode,
}

/// Bits per second of sound that is encoded.
const SOUND_RATE: &str = "160k";

impl Tracks {
    /// By the media type that the codec header comes with; an error names a codec that RTMP does not carry.
    pub(crate) fn of_mime(mime: &str) -> Result<Self, String> {
        let (_, codecs) = mime.split_once("codecs=").ok_or_else(|| format!("`{mime}` names no codecs"))?;
        let mut tracks = Self { video: false, audio: Sound::None };
        for codec in codecs.trim_matches('"').split(',').map(str::trim) {
            let name = codec.split('.').next().unwrap_or_default();
            match name {
                "avc1" | "avc3" => tracks.video = true,
                "mp4a" => tracks.audio = Sound::Copy,
                "opus" | "Opus" | "fLaC" | "flac" | "mp3" => tracks.audio = Sound::Encode,
                _ => return Err(format!("RTMP carries H.264, and the broadcast is {codec}")),
            }
        }
        Ok(tracks)
    }
}

/// All arguments. The key is in the file, which has an option and its value.
pub(crate) fn push(url: &str, key: &KeyFile<'_>, tracks: Tracks) -> Vec<String> {
    let mut list: Vec<String> = ["-hide_banner", "-loglevel", "warning", "-nostats"].map(Into::into).into();
    // The codec header says all that is to be known; nothing is gathered before. With `nobuffer` the first key frame would be lost.
    list.extend(["-probesize", "32768", "-analyzeduration", "0"].map(Into::into));
    list.extend(["-f", "mp4", "-i", "pipe:0"].map(Into::into));
    match tracks.video {
        true => list.extend(["-map", "0:V:0", "-c:v", "copy"].map(Into::into)),
        false => list.push("-vn".into()),
    }
    match tracks.audio {
        Sound::None => list.push("-an".into()),
        Sound::Copy => list.extend(["-map", "0:a:0", "-c:a", "copy"].map(Into::into)),
        Sound::Encode => {
            list.extend(
                ["-map", "0:a:0", "-c:a", "aac", "-ar", "48000", "-ac", "2", "-b:a", SOUND_RATE].map(Into::into),
            );
        }
    }
    list.extend(["-flvflags", "no_duration_filesize", "-flush_packets", "1", "-f", "flv"].map(Into::into));
    match key {
        KeyFile::Preset(file) => list.extend(["-fpre".into(), file.display().to_string()]),
        KeyFile::Value(file) => list.extend(["-/rtmp_playpath".into(), file.display().to_string()]),
    }
    list.push(url.to_owned());
    list
}

/// How this ffmpeg takes an option out of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyFile<'a> {
    /// A preset of a name and a value, until version 6.
    Preset(&'a Path),
    /// The value alone, since version 7.
    Value(&'a Path),
}

/// Whether a version, as ffmpeg writes it, is 7 or later; one that is no number is built from its sources.
pub(crate) fn takes_values(version: &str) -> bool {
    let digits: String = version.trim_start_matches('n').chars().take_while(char::is_ascii_digit).collect();
    digits.parse::<u32>().map_or(true, |major| major >= 7)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_rtmp_carries_is_copied_and_other_sound_encoded() {
        let tracks = |mime| Tracks::of_mime(mime).map(|Tracks { video, audio }| (video, audio));
        assert_eq!(tracks(r#"video/mp4; codecs="avc1.64001f,mp4a.40.2""#), Ok((true, Sound::Copy)));
        assert_eq!(tracks(r#"audio/mp4; codecs="opus""#), Ok((false, Sound::Encode)));
        assert!(tracks(r#"video/mp4; codecs="av01.0.04M.08""#).unwrap_err().contains("av01"));
        assert!(tracks("video/mp4").is_err());
    }

    #[test]
    fn the_key_is_not_among_the_arguments() {
        let tracks = Tracks { video: true, audio: Sound::Encode };
        let list = push("rtmp://h/live", &KeyFile::Preset(Path::new("/run/key")), tracks);
        assert_eq!(list.last().unwrap(), "rtmp://h/live");
        assert!(list.join(" ").contains("-c:a aac") && list.join(" ").contains("-fpre /run/key"), "{list:?}");
    }

    #[test]
    fn versions_are_told_apart() {
        for (version, values) in [("5.1.9-0+deb12u1", false), ("n6.1", false), ("7.1.1", true), ("N-1234-gabc", true)] {
            assert_eq!(takes_values(version), values, "{version}");
        }
    }
}
