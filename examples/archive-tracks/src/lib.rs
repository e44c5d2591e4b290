//! An archive that is no recording: a folder per broadcast, and in it a file for each track that is played, with its tags.
//!
//! Sound in Opus becomes Ogg, without encoding, and a new file begins when the title changes: what a radio station wants to have the
//! next day. Everything else is kept as it comes, the codec header and then the fragments, in `.mp4`. Nothing can be read back or withheld,
//! so nothing of that is declared; what is signed is not kept.
//!
//! The other example of an archive, `plugin-archive`, keeps segments as they are. This one shows how much of the trait is left to the
//! one who writes it.

mod name;
mod ogg;
mod opus;
mod track;

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard};

use peerstream_sdk::prelude::*;
use peerstream_sdk::recent::{Recent, Standing};
use peerstream_sdk::traits::archive::{
    ArchiveBackend, Capabilities, Init, InitId, Item, Manifest, Published, Receipt, RecordingId, Segment, StreamMeta,
};

use crate::track::{Album, Track};

/// The options.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where the folders of broadcasts are; created when it is not there.
    pub folder: PathBuf,
}

impl Default for Config {
    fn default() -> Self {
        Self { folder: "tracks".into() }
    }
}

impl PluginConfig for Config {
    fn validate(&self, violations: &mut Violations) {
        violations.push_if(self.folder.as_os_str().is_empty(), "folder", "is empty, expected a path");
    }
}

/// The archive.
#[derive(Debug)]
pub struct Tracks {
    config: Config,
    current: Mutex<Option<Current>>,
}

/// The broadcast under way.
#[derive(Debug)]
struct Current {
    id: RecordingId,
    album: Album,
    recent: Recent,
    init: Option<(InitId, Init)>,
    track: Option<Track>,
}

impl Plugin for Tracks {
    const NAME: &'static str = "tracks";
    const SUMMARY: &'static str = "a file for each track that is played: Ogg with tags for Opus, MP4 for the rest";
    type Config = Config;

    fn build(config: Config, _: &BuildContext<'_>) -> Result<Self, PluginError> {
        Ok(Self { config, current: Mutex::default() })
    }
}

impl Tracks {
    fn current(&self) -> MutexGuard<'_, Option<Current>> {
        self.current.lock().expect("no holder panics")
    }
}

#[async_trait]
impl Lifecycle for Tracks {
    async fn start(&self) -> Result<(), PluginError> {
        Ok(std::fs::create_dir_all(&self.config.folder)?)
    }

    async fn stop(&self, _: std::time::Duration) -> Result<(), PluginError> {
        let current = self.current().take();
        Ok(current.and_then(|current| current.track).map_or(Ok(()), Track::finish)?)
    }
}

impl Current {
    /// A codec header; whether it is one that was not there last.
    fn take_init(&mut self, id: InitId, encoded: &[u8]) -> Result<Receipt, PluginError> {
        if self.init.as_ref().is_some_and(|(now, _)| *now == id) {
            return Ok(Receipt::AlreadyKept);
        }
        let init = Init::decode(encoded).map_err(|_| PluginError::invalid("that is no init"))?;
        // Another title or another codec: both begin another file.
        self.init = Some((id, init));
        self.track.take().map_or(Ok(()), Track::finish)?;
        Ok(Receipt::Kept)
    }

    fn write(&mut self, segment: &Segment) -> Result<Receipt, PluginError> {
        if self.recent.standing(segment)? == Standing::Known {
            return Ok(Receipt::AlreadyKept);
        }
        if !segment.payload.is_empty() {
            if self.track.is_none() {
                self.track = Some(Track::create(&mut self.album, self.init.as_ref().map(|(_, init)| init))?);
            }
            self.track.as_mut().map_or(Ok(()), |track| track.add(&segment.payload))?;
        }
        self.recent.add(segment);
        Ok(Receipt::Kept)
    }
}

/// What is written is a few kilobytes each half second: it is waited for here. An archive that writes more has a thread for that.
#[async_trait]
impl ArchiveBackend for Tracks {
    fn capabilities(&self) -> Capabilities {
        Capabilities::default()
    }

    async fn open(&self, meta: &StreamMeta) -> Result<RecordingId, PluginError> {
        let id = RecordingId(format!("{}-{}", meta.stream.get(..16).unwrap_or(&meta.stream), meta.epoch.0));
        let mut current = self.current();
        if current.as_ref().is_none_or(|current| current.id != id) {
            let before = current.take().and_then(|current| current.track);
            before.map_or(Ok(()), Track::finish)?;
            let album = Album::open(&self.config.folder.join(&id.0), meta.title.as_deref())?;
            *current = Some(Current { id: id.clone(), album, recent: Recent::default(), init: None, track: None });
        }
        Ok(id)
    }

    async fn put(&self, recording: &RecordingId, item: &Item) -> Result<Receipt, PluginError> {
        let mut current = self.current();
        let current = current.as_mut().filter(|current| current.id == *recording);
        let current = current.ok_or_else(|| PluginError::new(ErrorClass::NotFound, "the recording is not open"))?;
        match item {
            Item::Init { id, encoded } => current.take_init(*id, encoded),
            Item::Segment(segment) => current.write(segment),
        }
    }

    async fn finalize(&self, recording: &RecordingId, _: &Manifest) -> Result<Published, PluginError> {
        let mut current = self.current();
        let track =
            current.as_mut().filter(|current| current.id == *recording).and_then(|current| current.track.take());
        track.map_or(Ok(()), Track::finish)?;
        Ok(Published::default())
    }
}

peerstream_sdk::export_plugin! { archive: Tracks }
