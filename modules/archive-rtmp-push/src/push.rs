//! The push as an archive: it keeps nothing, and is given what archives are given.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use peerstream_ffmpeg_child::Program;
use peerstream_sdk::prelude::*;
use peerstream_sdk::recent::{Recent, Standing};
use peerstream_sdk::traits::archive::{
    ArchiveBackend, Capabilities, Init, InitId, Item, Manifest, Published, Receipt, RecordingId, StreamKind, StreamMeta,
};

use crate::config::Config;
use crate::pusher::{Pusher, Settings, Target};

/// Pushes broadcasts on.
#[derive(Clone, Debug)]
pub struct RtmpPush {
    config: Config,
    pusher: Pusher,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    recording: Option<RecordingId>,
    recent: Recent,
    init: Option<InitId>,
}

impl RtmpPush {
    /// Segments that were pushed and those that were left out because the server was slow or away.
    pub fn counts(&self) -> (u64, u64) {
        self.pusher.counts()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder panics")
    }
}

impl Plugin for RtmpPush {
    const NAME: &'static str = "rtmp-push";
    const SUMMARY: &'static str = "pushes the broadcast on over RTMP as it happens; keeps nothing";
    const STABILITY: Stability = Stability::Beta;
    type Config = Config;

    fn build(config: Config, context: &BuildContext<'_>) -> Result<Self, PluginError> {
        let pusher = Pusher::new(Settings::of(&config, context.instance));
        Ok(Self { config, pusher, state: Arc::default() })
    }
}

#[async_trait]
impl Lifecycle for RtmpPush {
    /// Whether there is an ffmpeg; the server is not asked: that would be a broadcast.
    async fn probe(&self) -> Result<(), PluginError> {
        let features = Program::new(&self.config.program).features().await;
        let features = features.map_err(|error| PluginError::new(ErrorClass::NotFound, error.to_string()))?;
        let encoder = features.need_encoder("aac");
        encoder.map_err(|error| PluginError::new(ErrorClass::Unsupported, error.to_string()))
    }

    async fn start(&self) -> Result<(), PluginError> {
        self.pusher.aim(Target { url: self.config.url.clone(), key: self.config.key.clone() });
        self.pusher.start();
        Ok(())
    }

    fn health(&self) -> Health {
        self.pusher.trouble().map_or(Health::Ok, |why| Health::Degraded { why })
    }

    async fn stop(&self, deadline: Duration) -> Result<(), PluginError> {
        self.pusher.stop(deadline.saturating_sub(Duration::from_millis(500))).await;
        Ok(())
    }
}

#[async_trait]
impl ArchiveBackend for RtmpPush {
    fn capabilities(&self) -> Capabilities {
        Capabilities::default()
    }

    async fn open(&self, meta: &StreamMeta) -> Result<RecordingId, PluginError> {
        if meta.kind != StreamKind::Media {
            return Err(PluginError::unsupported("RTMP carries media: pushing a broadcast of data"));
        }
        let id = RecordingId(format!("{}-{}", meta.stream, meta.epoch.0));
        let mut state = self.state();
        if state.recording.as_ref() != Some(&id) {
            if state.recording.is_some() {
                self.pusher.pause();
            }
            *state = State { recording: Some(id.clone()), ..State::default() };
        }
        Ok(id)
    }

    /// What there is no room for is left out and counted, not asked for again: a live stream does not wait.
    async fn put(&self, recording: &RecordingId, item: &Item) -> Result<Receipt, PluginError> {
        let mut state = self.state();
        if state.recording.as_ref() != Some(recording) {
            return Err(PluginError::new(ErrorClass::NotFound, "the recording is not open"));
        }
        match item {
            Item::Init { id, .. } if state.init == Some(*id) => Ok(Receipt::AlreadyKept),
            Item::Init { id, encoded } => {
                let init = Init::decode(encoded).map_err(|_| PluginError::invalid("that is no init"))?;
                self.pusher.init(&init);
                state.init = Some(*id);
                Ok(Receipt::Kept)
            }
            Item::Segment(segment) => {
                if state.recent.standing(segment)? == Standing::Known {
                    return Ok(Receipt::AlreadyKept);
                }
                state.recent.add(segment);
                match self.pusher.segment(segment) {
                    true => Ok(Receipt::Kept),
                    false => Err(PluginError::new(ErrorClass::Denied, "the server is slow or away: left out")),
                }
            }
        }
    }

    async fn finalize(&self, _: &RecordingId, _: &Manifest) -> Result<Published, PluginError> {
        self.pusher.pause();
        Ok(Published::default())
    }
}
