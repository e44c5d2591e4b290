//! What becomes of picture and sound: what ffprobe says decides, and what a first try has shown where nobody may be asked twice.

use peerstream_ffmpeg_child::output::{Audio, Video};
use peerstream_sdk::prelude::*;
use peerstream_sdk::serde_json::{self, Value};

use crate::config::{AudioChoice, Config, VideoChoice};
use crate::input::Input;

/// What is known of the input's tracks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Known {
    /// Nobody was asked; what a first try has shown not to be fit for browsers.
    Tried(Unfit),
    /// What ffprobe said.
    Probed(Tracks),
}

/// What must not be copied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Unfit {
    pub(crate) video: bool,
    pub(crate) audio: bool,
}

/// The tracks of an input; none where there is no such track.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tracks {
    pub(crate) video: Option<Fitness>,
    pub(crate) audio: Option<Sound>,
    /// It has a length, so that its end is the end.
    pub(crate) finite: bool,
}

/// Whether every browser plays it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fitness {
    Fit,
    Unfit,
}

/// A track of sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sound {
    pub(crate) fitness: Fitness,
    /// AAC whose codec header comes with its packets.
    pub(crate) adts: bool,
}

/// Arguments in front of the input that make ffprobe write what [`Tracks::read`] reads.
pub(crate) const PROBE: [&str; 6] = [
    "-v",
    "error",
    "-of",
    "json",
    "-show_entries",
    "format=duration:stream=codec_type,codec_name,profile,pix_fmt,field_order,extradata_size,channels:stream_disposition=attached_pic",
];

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    streams: Vec<Stream>,
    #[serde(default)]
    format: Format,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Format {
    duration: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Stream {
    codec_type: String,
    codec_name: String,
    profile: Value,
    pix_fmt: String,
    field_order: String,
    extradata_size: u32,
    channels: u32,
    disposition: Disposition,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Disposition {
    attached_pic: u8,
}

impl Tracks {
    /// From ffprobe's answer.
    pub(crate) fn read(answer: &str) -> Result<Self, String> {
        let Answer { streams, format } = serde_json::from_str(answer).map_err(|error| format!("ffprobe: {error}"))?;
        let first = |kind: &str| streams.iter().find(|it| it.codec_type == kind && it.disposition.attached_pic == 0);
        let finite = format.duration.parse().is_ok_and(|seconds: f64| seconds > 0.0);
        Ok(Self { video: first("video").map(Stream::picture), audio: first("audio").map(Stream::sound), finite })
    }
}

impl Stream {
    /// Every browser plays progressive H.264 of 8 bits and 4:2:0.
    fn picture(&self) -> Fitness {
        let profile = self.profile.as_str().unwrap_or_default();
        let profile = ["Constrained Baseline", "Baseline", "Main", "High"].contains(&profile);
        let pixels = matches!(self.pix_fmt.as_str(), "yuv420p" | "yuvj420p");
        let progressive = matches!(self.field_order.as_str(), "" | "unknown" | "progressive");
        fitness(self.codec_name == "h264" && profile && pixels && progressive)
    }

    /// Every browser plays AAC and Opus, of one or two channels for sure.
    fn sound(&self) -> Sound {
        let aac = self.codec_name == "aac";
        let fit = (aac || self.codec_name == "opus") && self.channels <= 2;
        Sound { fitness: fitness(fit), adts: aac && self.extradata_size == 0 }
    }
}

fn fitness(fit: bool) -> Fitness {
    if fit { Fitness::Fit } else { Fitness::Unfit }
}

impl Known {
    /// What becomes of the picture.
    pub(crate) fn video(&self, config: &Config, input: &Input) -> Video {
        let h264 = || Video::H264(config.h264());
        let there = !matches!(self, Self::Probed(Tracks { video: None, .. }));
        match config.video {
            VideoChoice::None => Video::None,
            // Without a picture sound is cut into longer pieces.
            _ if !there && *input != Input::Test => Video::None,
            VideoChoice::H264 => h264(),
            VideoChoice::Copy => Video::Copy,
            VideoChoice::Auto if *input == Input::Test || config.changes_picture() => h264(),
            VideoChoice::Auto => match self {
                Self::Probed(tracks) if tracks.video == Some(Fitness::Fit) => Video::Copy,
                Self::Tried(unfit) if !unfit.video => Video::Copy,
                _ => h264(),
            },
        }
    }

    /// What becomes of the sound beside such a picture.
    pub(crate) fn audio(&self, config: &Config, input: &Input, video: &Video) -> Audio {
        let adts = match self {
            Self::Probed(tracks) => tracks.audio.is_some_and(|sound| sound.adts),
            Self::Tried(_) => input.is_transport_stream(),
        };
        let copy = if adts { Audio::CopyAdts } else { Audio::Copy };
        let there = !matches!(self, Self::Probed(Tracks { audio: None, .. }));
        match config.audio {
            AudioChoice::None => Audio::None,
            _ if !there && *input != Input::Test => Audio::None,
            AudioChoice::Copy => copy,
            AudioChoice::Aac => Audio::Aac(config.audio_kbps),
            AudioChoice::Opus => Audio::Opus(config.audio_kbps),
            AudioChoice::Auto => match self {
                Self::Probed(tracks) if tracks.audio.is_some_and(|it| it.fitness == Fitness::Fit) => copy,
                Self::Tried(unfit) if !unfit.audio && *input != Input::Test => copy,
                _ if *video == Video::None => Audio::Opus(config.audio_kbps),
                _ => Audio::Aac(config.audio_kbps),
            },
        }
    }
}

impl Unfit {
    /// What of a media type, such as `video/mp4; codecs="avc1.64001f,mp4a.40.2"`, is not played by every browser.
    pub(crate) fn of_mime(mime: &str) -> Self {
        let codecs = mime.split_once("codecs=\"").map_or("", |(_, rest)| rest.trim_end_matches('"'));
        let mut unfit = Self::default();
        for codec in codecs.split(',').map(str::trim).filter(|codec| !codec.is_empty()) {
            let sound = codec.starts_with("mp4a") || ["opus", "ac-3", "ec-3", "fLaC", "alac"].contains(&codec);
            match sound {
                true => unfit.audio |= !(codec == "opus" || codec.starts_with("mp4a.40.") && codec != "mp4a.40.34"),
                false => unfit.video |= !codec.starts_with("avc1"),
            }
        }
        unfit
    }

    /// What a child that ended before its first bytes complained of.
    pub(crate) fn of_words(words: &str) -> Self {
        let muxer = ["Could not find tag for codec", "not currently supported in container"];
        let both = muxer.iter().any(|text| words.contains(text));
        Self { video: both, audio: both || words.contains("bitstream filter") }
    }

    /// Whether there is anything.
    pub(crate) fn is_any(self) -> bool {
        self.video || self.audio
    }

    /// Both together.
    pub(crate) fn and(self, other: Self) -> Self {
        Self { video: self.video || other.video, audio: self.audio || other.audio }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn probed(text: &str) -> Known {
        Known::Probed(Tracks::read(text).unwrap())
    }

    fn decide(known: &Known, config: &Config) -> (Video, Audio) {
        let input = config.source().unwrap();
        let video = known.video(config, &input);
        let audio = known.audio(config, &input, &video);
        (video, audio)
    }

    const GOOD: &str = r#"{"streams": [
        {"codec_type": "video", "codec_name": "h264", "profile": "High", "pix_fmt": "yuv420p", "field_order": "progressive"},
        {"codec_type": "audio", "codec_name": "aac", "profile": "LC", "channels": 2}]}"#;

    fn file() -> Config {
        Config { input: "a.mp4".into(), ..Config::default() }
    }

    #[test]
    fn what_browsers_play_is_copied_and_the_rest_is_encoded() {
        assert_eq!(decide(&probed(GOOD), &file()), (Video::Copy, Audio::CopyAdts));
        let ready = GOOD.replace("\"channels\"", "\"extradata_size\": 5, \"channels\"");
        assert_eq!(decide(&probed(&ready), &file()), (Video::Copy, Audio::Copy));
        for (from, to) in [("h264", "hevc"), ("yuv420p", "yuv422p"), ("progressive", "tt"), ("High", "High 10")] {
            let (video, audio) = decide(&probed(&GOOD.replace(from, to)), &file());
            assert!(matches!(video, Video::H264(_)) && audio == Audio::CopyAdts, "{to}");
        }
        assert_eq!(decide(&probed(&GOOD.replace("aac", "mp3")), &file()).1, Audio::Aac(128));
    }

    #[test]
    fn sound_alone_becomes_opus_and_its_cover_is_no_picture() {
        let mp3 = r#"{"streams": [{"codec_type": "audio", "codec_name": "mp3", "channels": 2},
            {"codec_type": "video", "codec_name": "mjpeg", "disposition": {"attached_pic": 1}}]}"#;
        assert_eq!(decide(&probed(mp3), &file()), (Video::None, Audio::Opus(128)));
    }

    #[test]
    fn where_nobody_is_asked_a_first_try_copies_and_its_lesson_holds() {
        let config = Config { input: "srt://:9?mode=listener".into(), ..Config::default() };
        assert_eq!(decide(&Known::Tried(Unfit::default()), &config), (Video::Copy, Audio::CopyAdts));
        let unfit = Unfit::of_mime("video/mp4; codecs=\"hvc1.1.6.L93.B0,mp4a.40.34\"");
        assert_eq!(unfit, Unfit { video: true, audio: true });
        let (video, audio) = decide(&Known::Tried(unfit), &config);
        assert!(matches!(video, Video::H264(_)) && audio == Audio::Aac(128));
        assert!(!Unfit::of_mime("video/mp4; codecs=\"avc1.64001f,opus\"").is_any());
    }

    #[test]
    fn a_test_picture_and_another_size_are_encoded() {
        let (video, audio) = decide(&Known::Tried(Unfit::default()), &Config::default());
        assert!(matches!(video, Video::H264(_)) && audio == Audio::Aac(128));
        let (video, _) = decide(&probed(GOOD), &Config { size: "640x360".into(), ..file() });
        assert!(matches!(video, Video::H264(_)));
    }
}
