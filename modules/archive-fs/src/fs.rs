//! The archive.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use peerstream_sdk::prelude::*;
use peerstream_sdk::traits::archive::{
    ArchiveBackend, Capabilities, Item, Manifest, Published, Receipt, Recording as Listed, RecordingId, Restriction,
    Segment, StreamMeta,
};

use crate::config::{Config, Sync};
use crate::files;
use crate::recording::{Policy, Recording};

/// Recordings that `list` gives, the latest.
const LISTED_MAX: usize = 10_000;

/// Keeps broadcasts in a folder.
#[derive(Clone, Debug)]
pub struct Fs(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    config: Config,
    /// Those that are written. A finished one is closed.
    open: Mutex<BTreeMap<RecordingId, Recording>>,
}

impl Fs {
    /// Does something on a thread that may wait for the disk. It is not cut short when nobody waits for it any more.
    async fn on_disk<T: Send + 'static>(
        &self,
        act: impl FnOnce(&Inner) -> Result<T, PluginError> + Send + 'static,
    ) -> Result<T, PluginError> {
        let inner = self.0.clone();
        let done = tokio::task::spawn_blocking(move || act(&inner)).await;
        done.map_err(|error| PluginError::new(ErrorClass::Internal, error.to_string()))?
    }
}

impl Inner {
    fn folder(&self, recording: &RecordingId) -> Result<PathBuf, PluginError> {
        let RecordingId(name) = recording;
        let plain = name.chars().all(|char| char.is_ascii_alphanumeric() || char == '-');
        if !plain || name.is_empty() || name.len() > 128 {
            return Err(PluginError::invalid("that is no recording's name"));
        }
        Ok(self.config.folder.join(name))
    }

    fn open(&self, meta: &StreamMeta) -> Result<RecordingId, PluginError> {
        let id = RecordingId(format!("{}-{}", meta.stream, meta.epoch.0));
        let folder = self.folder(&id)?;
        let mut open = self.lock();
        if !open.contains_key(&id) {
            open.insert(id.clone(), Recording::open(&folder, meta)?);
        }
        Ok(id)
    }

    fn policy(&self) -> Policy {
        Policy { sync: self.config.sync == Sync::Each, bytes_max: self.config.recording_bytes_max }
    }

    fn written<T>(
        &self,
        id: &RecordingId,
        act: impl FnOnce(&mut Recording) -> Result<T, PluginError>,
    ) -> Result<T, PluginError> {
        let mut open = self.lock();
        act(open.get_mut(id).ok_or_else(|| PluginError::new(ErrorClass::NotFound, "the recording is not open"))?)
    }

    fn finalize(&self, id: &RecordingId, manifest: &Manifest) -> Result<(), PluginError> {
        let folder = self.folder(id)?;
        let mut open = self.lock();
        match open.get(id) {
            Some(recording) => {
                recording.finalize(manifest)?;
                open.remove(id);
                Ok(())
            }
            // Finished before: the last word counts.
            None if folder.is_dir() => Ok(files::write(&folder.join("manifest.json"), manifest)?),
            None => Err(PluginError::new(ErrorClass::NotFound, "there is no such recording")),
        }
    }

    fn read(&self, id: &RecordingId, seq: Seq) -> Result<Segment, PluginError> {
        let folder = self.folder(id)?;
        match self.lock().get(id) {
            Some(recording) => recording.read(seq),
            None => Recording::open_to_read(&folder)?.read(seq),
        }
    }

    fn restrict(&self, id: &RecordingId, restriction: &Restriction) -> Result<(), PluginError> {
        let folder = self.folder(id)?;
        let mut open = self.lock();
        if let Some(recording) = open.get_mut(id) {
            return recording.restrict(restriction);
        }
        let meta =
            meta(&folder)?.ok_or_else(|| PluginError::new(ErrorClass::NotFound, "there is no such recording"))?;
        Recording::open(&folder, &meta)?.restrict(restriction)
    }

    fn list(&self) -> Result<Vec<Listed>, PluginError> {
        let mut found = Vec::new();
        for entry in std::fs::read_dir(&self.config.folder)? {
            let folder = entry?.path();
            if let Some(meta) = meta(&folder).ok().flatten() {
                found.push((folder, meta));
            }
        }
        found.sort_by_key(|(_, meta)| std::cmp::Reverse(meta.epoch));
        found.truncate(LISTED_MAX);
        found.into_iter().map(|(folder, meta)| self.listed(&folder, meta)).collect()
    }

    fn listed(&self, folder: &Path, meta: StreamMeta) -> Result<Listed, PluginError> {
        let id = RecordingId(folder.file_name().unwrap_or_default().to_string_lossy().into_owned());
        let manifest = match self.lock().get(&id) {
            Some(recording) => recording.manifest()?,
            None => Recording::open_to_read(folder)?.manifest()?,
        };
        Ok(Listed { id, meta, manifest })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<RecordingId, Recording>> {
        self.open.lock().expect("no holder panics")
    }
}

fn meta(folder: &Path) -> Result<Option<StreamMeta>, PluginError> {
    Ok(files::read(&folder.join("meta.json"))?)
}

impl Plugin for Fs {
    const NAME: &'static str = "fs";
    const SUMMARY: &'static str = "recordings in a folder: signed segments and a manifest";
    const STABILITY: Stability = Stability::Beta;
    type Config = Config;

    fn build(config: Config, _: &BuildContext<'_>) -> Result<Self, PluginError> {
        Ok(Self(Arc::new(Inner { config, open: Mutex::default() })))
    }
}

#[async_trait]
impl Lifecycle for Fs {
    async fn probe(&self) -> Result<(), PluginError> {
        self.on_disk(|inner| {
            let folder = &inner.config.folder;
            let there = folder.ancestors().find(|folder| folder.as_os_str().is_empty() || folder.exists());
            let there = there.filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
            let facts = std::fs::metadata(there)?;
            if !facts.is_dir() || facts.permissions().readonly() {
                return Err(PluginError::new(
                    ErrorClass::Denied,
                    format!("{} is no folder to write in", there.display()),
                ));
            }
            Ok(())
        })
        .await
    }

    async fn start(&self) -> Result<(), PluginError> {
        self.on_disk(|inner| {
            let folder = &inner.config.folder;
            std::fs::create_dir_all(folder).map_err(|error| {
                let PluginError { class, message, .. } = PluginError::from(error);
                PluginError::new(class, format!("{} cannot be created: {message}", folder.display()))
            })
        })
        .await
    }

    async fn stop(&self, _: Duration) -> Result<(), PluginError> {
        self.on_disk(|inner| {
            inner.lock().clear();
            Ok(())
        })
        .await
    }
}

#[async_trait]
impl ArchiveBackend for Fs {
    fn capabilities(&self) -> Capabilities {
        Capabilities { read: true, list: true, restrict: true, ..Capabilities::default() }
    }

    async fn open(&self, meta: &StreamMeta) -> Result<RecordingId, PluginError> {
        let meta = meta.clone();
        self.on_disk(move |inner| inner.open(&meta)).await
    }

    async fn put(&self, recording: &RecordingId, item: &Item) -> Result<Receipt, PluginError> {
        let (recording, item) = (recording.clone(), item.clone());
        self.on_disk(move |inner| inner.written(&recording, |recording| recording.put(&item, inner.policy()))).await
    }

    async fn finalize(&self, recording: &RecordingId, manifest: &Manifest) -> Result<Published, PluginError> {
        let (recording, manifest) = (recording.clone(), manifest.clone());
        self.on_disk(move |inner| inner.finalize(&recording, &manifest)).await?;
        Ok(Published::default())
    }

    async fn read(&self, recording: &RecordingId, seq: Seq) -> Result<Segment, PluginError> {
        let recording = recording.clone();
        self.on_disk(move |inner| inner.read(&recording, seq)).await
    }

    async fn list(&self) -> Result<Vec<Listed>, PluginError> {
        self.on_disk(Inner::list).await
    }

    async fn restrict(&self, recording: &RecordingId, restriction: &Restriction) -> Result<(), PluginError> {
        let (recording, restriction) = (recording.clone(), restriction.clone());
        self.on_disk(move |inner| inner.restrict(&recording, &restriction)).await
    }
}
