//! The config of the input.

use peerstream_ffmpeg_child::output::H264;
use peerstream_sdk::prelude::*;

use crate::input::Input;

/// Protocols that reach files or descriptors by other names: they would undo any list of protocols.
const PROTOCOLS_REFUSED: [&str; 5] = ["concat", "concatf", "subfile", "pipe", "fd"];
/// Arguments of the user's own on each side.
const OPTIONS_MAX: usize = 64;
/// Where the value of `secret` goes.
const PLACEHOLDER: &str = "{secret}";

/// What becomes of the picture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum VideoChoice {
    /// It stays as it is if every browser plays it, else it is encoded to H.264.
    #[default]
    Auto,
    /// It stays as it is.
    Copy,
    /// It is encoded to H.264.
    H264,
    /// It is left out.
    None,
}

/// What becomes of the sound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AudioChoice {
    /// It stays as it is if every browser plays it, else it is encoded: to AAC beside a picture, to Opus alone.
    #[default]
    Auto,
    /// It stays as it is.
    Copy,
    /// It is encoded to AAC.
    Aac,
    /// It is encoded to Opus.
    Opus,
    /// It is left out.
    None,
}

/// Whether the input is read at the speed of its times.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Pace {
    /// Files, the test picture and HTTP (HLS comes in bursts) are; live inputs come as they come.
    #[default]
    Auto,
    /// At the speed of its times.
    RealTime,
    /// As fast as it comes.
    AsItComes,
}

/// What ffmpeg reads and what it makes of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// ffmpeg, by name or path; ffprobe is looked for beside it.
    pub program: String,
    /// A URL (`srt://:9000?mode=listener`, `rtsp://...`, `https://.../live.m3u8`), the path of a file, or `test` for a test picture with a
    /// tone. `{secret}` in it stands for the option `secret`.
    pub input: String,
    /// A password or key for the input; put where `{secret}` stands in `input` and `input_options`, never shown.
    pub secret: Secret,
    /// Arguments in front of the input, one by one, such as `["-rtsp_transport", "tcp"]`. No shell sees them.
    pub input_options: Vec<String>,
    /// Arguments in front of the output, one by one.
    pub output_options: Vec<String>,
    /// What becomes of the picture: `auto`, `copy`, `h264` or `none`.
    pub video: VideoChoice,
    /// What becomes of the sound: `auto`, `copy`, `aac`, `opus` or `none`.
    pub audio: AudioChoice,
    /// Of a picture that is encoded, in kbit/s.
    pub video_kbps: u32,
    /// Of sound that is encoded, in kbit/s.
    pub audio_kbps: u32,
    /// Width and height of the picture, such as `1280x720`, both even; empty leaves them as they are. Needs encoding.
    pub size: String,
    /// Pictures a second; 0 leaves them as they are. Needs encoding.
    pub fps: u32,
    /// x264's preset: a slower one costs more of the processor and gives a better picture.
    pub preset: String,
    /// Protocols that ffmpeg may use for the input. Empty: what the input's own scheme needs, and no files for inputs from a network.
    pub protocols: Vec<String>,
    /// Whether the input is read at the speed of its times: `auto`, `real-time` or `as-it-comes`.
    pub pace: Pace,
    /// Starts a file again when it ends.
    #[serde(rename = "loop")]
    pub looped: bool,
    /// Takes over from another input that is on air, instead of waiting until it has gone.
    pub takeover: bool,
    /// ffmpeg is started again when it gives nothing for this long, in seconds.
    pub stall_s: u32,
    /// How much memory ffmpeg may have for its data, in MiB; 0 for no bound. Holds on Linux.
    pub memory_mib: u64,
}

impl Default for Config {
    /// A test picture with a tone.
    fn default() -> Self {
        Self {
            program: "ffmpeg".into(),
            input: "test".into(),
            secret: Secret::default(),
            input_options: Vec::new(),
            output_options: Vec::new(),
            video: VideoChoice::Auto,
            audio: AudioChoice::Auto,
            video_kbps: 2500,
            audio_kbps: 128,
            size: String::new(),
            fps: 0,
            preset: "veryfast".into(),
            protocols: Vec::new(),
            pace: Pace::Auto,
            looped: false,
            takeover: false,
            stall_s: 10,
            memory_mib: 2048,
        }
    }
}

impl Config {
    /// What is to be read; an error says what is wrong with it.
    pub(crate) fn source(&self) -> Result<Input, String> {
        Input::read(&self.filled(&self.input), !self.protocols.is_empty())
    }

    /// A text with the secret in its place.
    pub(crate) fn filled(&self, text: &str) -> String {
        text.replace(PLACEHOLDER, self.secret.reveal())
    }

    /// How a picture is encoded.
    pub(crate) fn h264(&self) -> H264 {
        let fps = (self.fps > 0).then_some(self.fps);
        H264 { kbps: self.video_kbps, size: size(&self.size), fps, preset: self.preset.clone() }
    }

    /// Whether the picture is to be changed, which needs encoding.
    pub(crate) fn changes_picture(&self) -> bool {
        !self.size.is_empty() || self.fps > 0
    }

    fn check_input(&self, violations: &mut Violations) {
        match self.source() {
            Ok(input) => {
                let test = matches!(input, Input::Test);
                let file = matches!(input, Input::File(_));
                violations.push_if(self.looped && !file, "loop", "needs a file: this input cannot start again");
                let copy = "is for an input of its own: the test picture must be encoded";
                violations.push_if(test && self.video == VideoChoice::Copy, "video", copy);
                violations.push_if(test && self.audio == AudioChoice::Copy, "audio", copy);
            }
            Err(problem) => violations.push("input", problem),
        }
        let used = self.input_options.iter().chain([&self.input]).any(|text| text.contains(PLACEHOLDER));
        let unused = "is set, but neither `input` nor `input_options` has a `{secret}`";
        violations.push_if(!self.secret.is_empty() && !used, "secret", unused);
        violations.push_if(self.secret.is_empty() && used, "secret", "is empty, but `{secret}` is used");
    }

    fn check_codecs(&self, violations: &mut Violations) {
        let nothing = self.video == VideoChoice::None && self.audio == AudioChoice::None;
        violations.push_if(nothing, "audio", "is `none` as `video` is: nothing would be left");
        let bad_size = !self.size.is_empty() && size(&self.size).is_none();
        let expected = "is no size, expected even numbers such as 1280x720, from 16 to 7680";
        violations.push_if(bad_size, "size", expected);
        let copied = self.changes_picture() && matches!(self.video, VideoChoice::Copy | VideoChoice::None);
        violations.push_if(copied, "video", "must be `h264` or `auto` where `size` or `fps` is set");
        violations.push_if(self.fps > 120, "fps", "is above 120, expected at most 120");
        range(violations, "video_kbps", self.video_kbps, 50, 100_000);
        range(violations, "audio_kbps", self.audio_kbps, 8, 512);
        let word = !self.preset.is_empty() && self.preset.bytes().all(|byte| byte.is_ascii_lowercase());
        violations.push_if(!word, "preset", "is no preset, expected one of x264's such as veryfast");
    }

    fn check_protocols(&self, violations: &mut Violations) {
        for name in &self.protocols {
            let lower = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
            if name.is_empty() || !name.bytes().all(lower) {
                violations.push("protocols", format!("`{name}` is no protocol, expected names such as srt"));
            } else if PROTOCOLS_REFUSED.contains(&name.as_str()) {
                violations.push("protocols", format!("`{name}` is refused: it reaches files by other names"));
            }
        }
    }
}

impl PluginConfig for Config {
    fn validate(&self, violations: &mut Violations) {
        violations.push_if(self.program.is_empty(), "program", "is empty, expected ffmpeg by name or path");
        self.check_input(violations);
        self.check_codecs(violations);
        self.check_protocols(violations);
        range(violations, "stall_s", self.stall_s, 1, 3600);
        let little = (1..64).contains(&self.memory_mib);
        violations.push_if(little, "memory_mib", "is below 64, expected at least 64, or 0 for no bound");
        for (name, options) in [("input_options", &self.input_options), ("output_options", &self.output_options)] {
            let many = options.len() > OPTIONS_MAX;
            violations.push_if(many, name, format!("has more than {OPTIONS_MAX} arguments"));
            violations.push_if(options.iter().any(|it| it.contains('\0')), name, "has an argument with a zero byte");
        }
    }
}

fn range(violations: &mut Violations, path: &str, value: u32, min: u32, max: u32) {
    violations.push_if(!(min..=max).contains(&value), path, format!("is {value}, expected {min} to {max}"));
}

/// Two even numbers.
fn size(text: &str) -> Option<(u32, u32)> {
    let (width, height) = text.split_once('x')?;
    let side = |text: &str| text.parse().ok().filter(|side: &u32| side.is_multiple_of(2) && (16..=7680).contains(side));
    Some((side(width)?, side(height)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(config: &Config) -> String {
        let mut violations = Violations::default();
        config.validate(&mut violations);
        violations.to_string()
    }

    #[test]
    fn a_config_is_read_and_unknown_fields_are_refused() {
        let text = r#"{"input": "srt://:9000?mode=listener", "video": "copy", "pace": "as-it-comes"}"#;
        let config: Config = serde_json::from_str(text).unwrap();
        assert_eq!((config.video, config.pace), (VideoChoice::Copy, Pace::AsItComes));
        assert_eq!(problems(&config), "");
        assert!(serde_json::from_str::<Config>(r#"{"url": "x"}"#).is_err());
    }

    #[test]
    fn all_problems_are_told_at_once() {
        let config = Config {
            input: "gopher://x".into(),
            video: VideoChoice::Copy,
            size: "1280x721".into(),
            fps: 500,
            protocols: vec!["concat".into(), "a,b".into()],
            ..Config::default()
        };
        let said = problems(&config);
        for part in ["size is no size", "fps is above", "`concat` is refused", "`a,b` is no protocol", "video must be"]
        {
            assert!(said.contains(part), "{part} not in {said}");
        }
    }

    #[test]
    fn a_secret_is_put_in_its_place_and_must_have_one() {
        let input = "srt://h:1?passphrase={secret}".to_owned();
        let config = Config { input, secret: Secret::new("geheim"), ..Config::default() };
        assert_eq!(
            (config.filled(&config.input), problems(&config)),
            ("srt://h:1?passphrase=geheim".into(), "".into())
        );
        assert!(problems(&Config { secret: Secret::new("geheim"), ..Config::default() }).contains("secret is set"));
        assert!(problems(&Config { secret: Secret::default(), ..config }).contains("secret is empty"));
    }
}
