//! The recording as an archive.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use peerstream_sdk::prelude::*;
use peerstream_sdk::recent::{Recent, Standing};
use peerstream_sdk::traits::archive::{
    ArchiveBackend, Capabilities, Init, Item, Manifest, Published, Receipt, RecordingId, StreamMeta,
};
use tracing::{error, info};

use crate::config::Config;
use crate::tape::Tape;

/// Records broadcasts to a file each.
#[derive(Clone, Debug)]
pub struct File(Arc<Mutex<Inner>>);

#[derive(Debug)]
struct Inner {
    config: Config,
    tape: Tape,
    recording: Option<RecordingId>,
    recent: Recent,
    /// Segments that could not be written since the trouble began.
    missing: u64,
}

impl File {
    /// Does something on a thread that may wait for the disk. It is not cut short when nobody waits for it any more.
    async fn on_disk<T: Send + 'static>(
        &self,
        act: impl FnOnce(&mut Inner) -> Result<T, PluginError> + Send + 'static,
    ) -> Result<T, PluginError> {
        let inner = self.0.clone();
        let done = tokio::task::spawn_blocking(move || act(&mut inner.lock().expect("no holder panics"))).await;
        done.map_err(|error| PluginError::new(ErrorClass::Internal, error.to_string()))?
    }
}

impl Inner {
    fn open(&mut self, meta: &StreamMeta) -> RecordingId {
        let id = RecordingId(format!("{}-{}", meta.stream, meta.epoch.0));
        if self.recording.as_ref() != Some(&id) {
            self.tape.go_on_with(&id.0);
            self.recent.clear();
            self.recording = Some(id.clone());
        }
        id
    }

    fn put(&mut self, id: &RecordingId, item: &Item) -> Result<Receipt, PluginError> {
        if self.recording.as_ref() != Some(id) {
            return Err(PluginError::new(ErrorClass::NotFound, "the recording is not open"));
        }
        let segment = match item {
            Item::Init { encoded, .. } => return self.init(encoded),
            Item::Segment(segment) => segment,
        };
        if self.recent.standing(segment)? == Standing::Known {
            return Ok(Receipt::AlreadyKept);
        }
        self.write(&segment.payload)?;
        self.recent.add(segment);
        Ok(Receipt::Kept)
    }

    fn init(&mut self, encoded: &[u8]) -> Result<Receipt, PluginError> {
        let init = Init::decode(encoded).map_err(|_| PluginError::invalid("that is no init"))?;
        Ok(if self.tape.init(&init.bytes, &init.mime) { Receipt::Kept } else { Receipt::AlreadyKept })
    }

    /// What is wrong is told once, and again when it is over.
    fn write(&mut self, payload: &[u8]) -> Result<(), PluginError> {
        let path = self.config.path.display();
        match self.tape.segment(payload) {
            Ok(new) => {
                new.iter().for_each(|path| info!(path = %path.display(), "recording"));
                let missing = std::mem::take(&mut self.missing);
                if missing > 0 {
                    info!(path = %path, missing, "the recording goes on, with a gap");
                }
                Ok(())
            }
            Err(problem) => {
                self.missing += 1;
                if self.missing == 1 {
                    let why = if problem.kind() == std::io::ErrorKind::StorageFull {
                        "the disk is full".to_owned()
                    } else {
                        problem.to_string()
                    };
                    error!(path = %path, "the recording stands still: {why}; the broadcast goes on");
                }
                Err(problem.into())
            }
        }
    }
}

impl Plugin for File {
    const NAME: &'static str = "file";
    const SUMMARY: &'static str = "a recording that can be played: one media file, clean at any moment";
    const STABILITY: Stability = Stability::Beta;
    type Config = Config;

    fn build(config: Config, _: &BuildContext<'_>) -> Result<Self, PluginError> {
        let tape = Tape::new(config.path.clone(), config.sync);
        let inner = Inner { config, tape, recording: None, recent: Recent::default(), missing: 0 };
        Ok(Self(Arc::new(Mutex::new(inner))))
    }
}

#[async_trait]
impl Lifecycle for File {
    async fn probe(&self) -> Result<(), PluginError> {
        self.on_disk(|inner| {
            let folder = folder(&inner.config.path);
            let is_usable =
                std::fs::metadata(&folder).is_ok_and(|facts| facts.is_dir() && !facts.permissions().readonly());
            let message = format!("{} is no folder to write in", folder.display());
            if is_usable { Ok(()) } else { Err(PluginError::new(ErrorClass::Denied, message)) }
        })
        .await
    }

    async fn start(&self) -> Result<(), PluginError> {
        self.on_disk(|inner| Ok(std::fs::create_dir_all(folder(&inner.config.path))?)).await
    }

    async fn stop(&self, _: Duration) -> Result<(), PluginError> {
        self.on_disk(|inner| Ok(inner.tape.finish()?)).await
    }
}

fn folder(path: &std::path::Path) -> PathBuf {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    folder.map_or_else(|| PathBuf::from("."), PathBuf::from)
}

#[async_trait]
impl ArchiveBackend for File {
    fn capabilities(&self) -> Capabilities {
        Capabilities::default()
    }

    async fn open(&self, meta: &StreamMeta) -> Result<RecordingId, PluginError> {
        let meta = meta.clone();
        self.on_disk(move |inner| Ok(inner.open(&meta))).await
    }

    async fn put(&self, recording: &RecordingId, item: &Item) -> Result<Receipt, PluginError> {
        let (recording, item) = (recording.clone(), item.clone());
        self.on_disk(move |inner| inner.put(&recording, &item)).await
    }

    async fn finalize(&self, _: &RecordingId, _: &Manifest) -> Result<Published, PluginError> {
        self.on_disk(|inner| Ok(inner.tape.finish()?)).await?;
        Ok(Published::default())
    }
}
