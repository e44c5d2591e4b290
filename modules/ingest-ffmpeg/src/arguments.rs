//! The arguments of ffmpeg and ffprobe.

use peerstream_ffmpeg_child::output::{self, Audio, Video};

use crate::codecs::PROBE;
use crate::config::{Config, Pace};
use crate::input::Input;

/// Of a test picture that nothing is said of.
const TEST_SIZE: (u32, u32) = (1280, 720);
const TEST_FPS: u32 = 30;

/// All arguments of ffmpeg.
pub(crate) fn ffmpeg(config: &Config, input: &Input, video: &Video, audio: Audio) -> Vec<String> {
    let mut arguments = owned(&["-nostdin", "-hide_banner", "-nostats", "-loglevel", "level+warning"]);
    let paced = match config.pace {
        Pace::Auto => input.is_paced(),
        Pace::RealTime => true,
        Pace::AsItComes => false,
    };
    if paced {
        arguments.push("-re".into());
    }
    if config.looped {
        arguments.extend(owned(&["-stream_loop", "-1"]));
    }
    arguments.extend(reading(config, input));
    arguments.extend(output::arguments(video, audio, &config.output_options));
    arguments
}

/// All arguments of ffprobe.
pub(crate) fn ffprobe(config: &Config, input: &Input) -> Vec<String> {
    let mut arguments = owned(&PROBE);
    arguments.extend(reading(config, input));
    arguments
}

/// The input with what belongs to it.
fn reading(config: &Config, input: &Input) -> Vec<String> {
    let mut arguments: Vec<_> = config.input_options.iter().map(|option| config.filled(option)).collect();
    if *input == Input::Test {
        arguments.extend(["-f".into(), "lavfi".into(), "-i".into(), picture_and_tone(config)]);
        return arguments;
    }
    let protocols = if config.protocols.is_empty() { input.protocols().into() } else { config.protocols.join(",") };
    // Last, so that nothing above can allow more.
    arguments.extend(["-protocol_whitelist".into(), protocols, "-i".into(), input.argument()]);
    arguments
}

/// One generator for both, so that they have one clock.
fn picture_and_tone(config: &Config) -> String {
    let (width, height) = config.h264().size.unwrap_or(TEST_SIZE);
    let fps = config.h264().fps.unwrap_or(TEST_FPS);
    format!("testsrc2=s={width}x{height}:r={fps}[out0];sine=f=440:b=4:r=48000[out1]")
}

fn owned(arguments: &[&str]) -> Vec<String> {
    arguments.iter().map(|&argument| argument.into()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(config: &Config) -> String {
        let input = config.source().unwrap();
        ffmpeg(config, &input, &Video::Copy, Audio::Copy).join(" ")
    }

    #[test]
    fn files_are_paced_and_live_inputs_are_not() {
        let file = Config { input: "a b.mp4".into(), looped: true, ..Config::default() };
        let expected = "-re -stream_loop -1 -protocol_whitelist file -i file:a b.mp4 ";
        assert!(text(&file).contains(expected), "{}", text(&file));
        let srt = Config { input: "srt://h:9".into(), ..Config::default() };
        assert!(text(&srt).contains("-loglevel level+warning -protocol_whitelist srt -i srt://h:9 "), "{}", text(&srt));
        assert!(text(&Config { pace: Pace::RealTime, ..srt }).contains(" -re "));
    }

    #[test]
    fn own_options_are_single_arguments_and_cannot_widen_the_list_of_protocols() {
        let options = vec!["-protocol_whitelist".into(), "file,{secret}".into(), "-x".into(), "; rm -rf /".into()];
        let config = Config { input: "rtsp://h/1".into(), input_options: options, ..Config::default() };
        let config = Config { secret: peerstream_sdk::traits::Secret::new("s"), ..config };
        let arguments = ffprobe(&config, &config.source().unwrap());
        assert!(arguments.contains(&"; rm -rf /".into()) && arguments.contains(&"file,s".into()));
        let last = arguments.iter().rposition(|argument| argument == "-protocol_whitelist").unwrap();
        assert_eq!(arguments[last + 1], "rtp,srtp,udp,tcp,tls,http,https");
    }
}
