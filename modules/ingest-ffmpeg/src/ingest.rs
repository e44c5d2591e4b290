//! The ingest.

use std::time::Duration;

use peerstream_ffmpeg_child::{Backoff, Program, ProgramError};
use peerstream_sdk::prelude::*;
use peerstream_sdk::traits::ingest::{Ingest, IngestError, Instruction, Kind, OffAir, Stage};
use tracing::{info, warn};

use crate::config::{AudioChoice, Config, VideoChoice};
use crate::input::Input;
use crate::run::{Outcome, Runner};

/// Live input through ffmpeg.
///
/// A file ends the input when it ends, unless it loops. Everything else is started again when it ends, for ever.
#[derive(Debug)]
pub struct Ffmpeg {
    config: Config,
    input: Input,
}

impl Plugin for Ffmpeg {
    const NAME: &'static str = "ffmpeg";
    const SUMMARY: &'static str = "SRT, RTSP, HLS, files, a test picture: whatever a supervised ffmpeg reads";
    const STABILITY: Stability = Stability::Beta;
    type Config = Config;

    fn build(config: Config, _: &BuildContext<'_>) -> Result<Self, PluginError> {
        let mut violations = Violations::default();
        config.validate(&mut violations);
        if !violations.is_empty() {
            return Err(PluginError::invalid(violations.to_string()));
        }
        let input = config.source().map_err(PluginError::invalid)?;
        Ok(Self { config, input })
    }
}

#[async_trait]
impl Lifecycle for Ffmpeg {
    /// Whether there is an ffmpeg that can what is asked of it.
    async fn probe(&self) -> Result<(), PluginError> {
        let program = Program::new(&self.config.program);
        let features = program.features().await.map_err(failed)?;
        for encoder in encoders(&self.config, &self.input) {
            features.need_encoder(encoder).map_err(failed)?;
        }
        match (&self.input, self.input.protocol()) {
            (Input::File(path), _) => {
                let there = tokio::fs::metadata(path).await;
                there.map_err(|error| {
                    PluginError::from(std::io::Error::new(error.kind(), format!("{path}: {error}")))
                })?;
                Ok(())
            }
            (_, Some(protocol)) => features.need_protocol(protocol).map_err(failed),
            (_, None) => Ok(()),
        }
    }
}

/// The encoders without which nothing goes; those that `auto` may need are not asked for.
fn encoders(config: &Config, input: &Input) -> Vec<&'static str> {
    let test = *input == Input::Test;
    let video = match config.video {
        VideoChoice::H264 => Some("libx264"),
        VideoChoice::Auto if test || config.changes_picture() => Some("libx264"),
        _ => None,
    };
    let audio = match config.audio {
        AudioChoice::Opus => Some("libopus"),
        AudioChoice::Aac => Some("aac"),
        AudioChoice::Auto if test && config.video == VideoChoice::None => Some("libopus"),
        AudioChoice::Auto if test => Some("aac"),
        _ => None,
    };
    video.into_iter().chain(audio).collect()
}

fn failed(error: ProgramError) -> PluginError {
    let class = match &error {
        ProgramError::Missing(_) => ErrorClass::NotFound,
        ProgramError::Lacks { .. } => ErrorClass::Unsupported,
        _ => ErrorClass::Unavailable,
    };
    PluginError::new(class, error.to_string()).because(error)
}

#[async_trait]
impl Ingest for Ffmpeg {
    fn kind(&self) -> Kind {
        Kind::Media
    }

    fn instructions(&self, _: &Secret) -> Vec<Instruction> {
        let Input::Url { url, .. } = &self.input else { return Vec::new() };
        let Some((scheme, rest)) = url.split_once("://") else { return Vec::new() };
        if !self.input.listens(&self.config.input_options) || scheme != "srt" {
            return Vec::new();
        }
        let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
        let port = place.rsplit_once(':').map_or(place, |(_, port)| port);
        let kept: Vec<_> = query.split('&').filter(|part| !part.starts_with("mode=") && !part.is_empty()).collect();
        let query = if kept.is_empty() { String::new() } else { format!("?{}", kept.join("&")) };
        let text = format!("server srt://HOST:{port}{query}, MPEG-TS with H.264 and AAC, a key frame every second");
        vec![Instruction { program: "SRT encoder".into(), text }]
    }

    async fn run(self: Box<Self>, stage: Stage) -> Result<(), IngestError> {
        let Self { config, input } = *self;
        let (mut runner, mut backoff) = (Runner::new(config, input), Backoff::default());
        loop {
            let outcome = tokio::select! {
                () = stage.closed() => return Err(OffAir::Closed.into()),
                outcome = runner.once(&stage) => outcome,
            };
            let input = runner.shown();
            let pause = match outcome {
                Outcome::Done => return Ok(()),
                Outcome::Closed => return Err(OffAir::Closed.into()),
                Outcome::AtOnce(why) => {
                    info!(input, why, "ffmpeg is started again");
                    Duration::ZERO
                }
                Outcome::Again { why, well } => {
                    let pause = backoff.after(well);
                    warn!(input, why, pause_ms = pause.as_millis() as u64, "ffmpeg is started again after a pause");
                    pause
                }
            };
            tokio::select! {
                () = stage.closed() => return Err(OffAir::Closed.into()),
                () = tokio::time::sleep(pause) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn built(config: Config) -> Result<Ffmpeg, PluginError> {
        Ffmpeg::build(config, &BuildContext::new("x"))
    }

    #[test]
    fn a_listener_says_what_to_type() {
        let config = Config {
            input: "srt://0.0.0.0:9000?mode=listener&passphrase={secret}".into(),
            secret: Secret::new("0123456789"),
            ..Config::default()
        };
        let said = built(config).unwrap().instructions(&Secret::default());
        assert!(said[0].text.starts_with("server srt://HOST:9000?passphrase=0123456789, "), "{said:?}");
        assert!(
            built(Config { input: "srt://elsewhere:9000".into(), ..Config::default() })
                .unwrap()
                .instructions(&Secret::default())
                .is_empty()
        );
    }

    #[test]
    fn a_config_with_problems_is_not_built() {
        let error = built(Config { video_kbps: 1, ..Config::default() }).unwrap_err();
        assert!(error.to_string().contains("video_kbps is 1"), "{error}");
    }
}
