//! Objects, wherever they are.

use std::future::Future;
use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use opendal::{ErrorKind, Operator, services};
use peerstream_sdk::prelude::*;
use peerstream_sdk::traits::archive::{InitId, RecordingId, StreamMeta};

use crate::config::Config;
use crate::restrictions::Restrictions;
use crate::summary::Summary;
use crate::{block, document};

/// One object is not waited for any longer.
const CALL_MAX: Duration = Duration::from_secs(60);
/// The index of a recording that is fetched is no larger, in bytes: some weeks of a broadcast.
const INDEX_BYTES_MAX: usize = 1 << 30;

/// Where objects are.
#[derive(Debug)]
pub(crate) struct Backend {
    config: Config,
    /// Made when they are first used: to make one on the local disk creates folders.
    reader: OnceLock<Operator>,
    writer: OnceLock<Operator>,
}

/// A recording as its objects have it.
pub(crate) struct Fetched {
    pub(crate) meta: StreamMeta,
    pub(crate) summary: Summary,
    pub(crate) restrictions: Restrictions,
    /// The records of its index, one after the other.
    pub(crate) records: Bytes,
}

impl Backend {
    pub(crate) fn new(config: Config) -> Self {
        Self { config, reader: OnceLock::new(), writer: OnceLock::new() }
    }

    /// For those who only read, which creates nothing.
    fn reader(&self) -> Result<&Operator, PluginError> {
        if self.config.is_local() && !self.config.folder.is_dir() {
            let message = format!("{} is no folder", self.config.folder.display());
            return Err(PluginError::new(ErrorClass::NotFound, message));
        }
        made(&self.reader, || if self.config.is_local() { self.folder(false) } else { self.bucket() })
    }

    fn writer(&self) -> Result<&Operator, PluginError> {
        made(&self.writer, || if self.config.is_local() { self.folder(true) } else { self.bucket() })
    }

    fn folder(&self, writes: bool) -> Result<Operator, PluginError> {
        let mut service = services::Fs::default().root(&text(&self.config.folder)?);
        if writes {
            service = service.atomic_write_dir(&text(&self.config.spool().join(".writing"))?);
        }
        Operator::new(service).map_err(failure)
    }

    #[cfg(feature = "s3")]
    fn bucket(&self) -> Result<Operator, PluginError> {
        // Another part of the process may have chosen one already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        opendal_http_transport_reqwest::install_default();
        let s3 = &self.config.s3;
        let mut service = services::S3::default()
            .bucket(&s3.bucket)
            .region(&s3.region)
            .root(&s3.prefix)
            .access_key_id(s3.access_key_id.reveal())
            .secret_access_key(s3.secret_access_key.reveal())
            .disable_config_load();
        if !s3.endpoint.is_empty() {
            service = service.endpoint(&s3.endpoint);
        }
        if s3.virtual_host {
            service = service.enable_virtual_host_style();
        }
        Operator::new(service).map_err(failure)
    }

    #[cfg(not(feature = "s3"))]
    fn bucket(&self) -> Result<Operator, PluginError> {
        Err(PluginError::unsupported("this host was built without S3"))
    }

    /// Writes an object, whole or not at all.
    pub(crate) async fn put(&self, path: &str, bytes: Bytes) -> Result<(), PluginError> {
        within(self.writer()?.write(path, bytes)).await?;
        if self.config.is_local() {
            let path = self.config.folder.join(path);
            // The name must be on the disk too before what it was made of goes.
            on_disk(move || Ok(document::sync_folder(path.parent().unwrap_or(&path))?)).await?;
        }
        Ok(())
    }

    /// An object; nothing when it is not there.
    pub(crate) async fn get(&self, path: &str) -> Result<Option<Bytes>, PluginError> {
        match within(self.reader()?.read(path)).await {
            Ok(buffer) => Ok(Some(buffer.to_bytes())),
            Err(error) if error.class == ErrorClass::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// A part of an object.
    pub(crate) async fn range(&self, path: &str, at: u64, len: u64) -> Result<Bytes, PluginError> {
        let reader = self.reader()?;
        let bytes = within(async { reader.read_with(path).range(at..at + len).await }).await?.to_bytes();
        if bytes.len() as u64 == len {
            return Ok(bytes);
        }
        Err(PluginError::new(ErrorClass::Internal, format!("{path} is shorter than its index says")))
    }

    /// Deletes an object; one that is not there is deleted already.
    pub(crate) async fn delete(&self, path: &str) -> Result<(), PluginError> {
        match within(self.writer()?.delete(path)).await {
            Err(error) if error.class != ErrorClass::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Deletes all objects of a recording.
    pub(crate) async fn delete_all(&self, RecordingId(id): &RecordingId) -> Result<(), PluginError> {
        for folder in ["blocks/", "inits/", ""] {
            for name in self.names(&format!("{id}/{folder}")).await? {
                if !name.ends_with('/') {
                    self.delete(&format!("{id}/{folder}{name}")).await?;
                }
            }
            self.delete(&format!("{id}/{folder}")).await?;
        }
        Ok(())
    }

    /// Writes zeros over payloads in a block's object. One that is not there has none.
    pub(crate) async fn erase(&self, id: &RecordingId, first: u64, erased: &Restrictions) -> Result<(), PluginError> {
        let path = data_path(id, first);
        let Some(bytes) = self.get(&path).await? else { return Ok(()) };
        let mut bytes = BytesMut::from(bytes);
        block::erase_bytes(&mut bytes, |seq| erased.has_erased(seq));
        self.put(&path, bytes.freeze()).await
    }

    /// The recordings that are there, in the order of their names.
    pub(crate) async fn recordings(&self) -> Result<Vec<RecordingId>, PluginError> {
        let names = self.names("/").await?;
        let ids = names.iter().filter_map(|name| name.strip_suffix('/')).filter(|name| !name.starts_with('.'));
        Ok(ids.map(|name| RecordingId(name.to_owned())).collect())
    }

    /// All that is there of a recording but its segments; nothing when there is none of this name.
    pub(crate) async fn fetch(&self, id: &RecordingId) -> Result<Option<Fetched>, PluginError> {
        let Some((meta, summary)) = self.listed(id).await? else { return Ok(None) };
        let restrictions = self.document(&format!("{}/restrictions.json", id.0)).await?.unwrap_or_default();
        let mut records = BytesMut::new();
        for name in self.names(&format!("{}/blocks/", id.0)).await? {
            if name.ends_with(".idx") {
                let path = format!("{}/blocks/{name}", id.0);
                records.extend_from_slice(&self.get(&path).await?.unwrap_or_default());
            }
            if records.len() > INDEX_BYTES_MAX {
                return Err(PluginError::new(ErrorClass::Denied, "the index of the recording is too large"));
            }
        }
        Ok(Some(Fetched { meta, summary, restrictions, records: records.freeze() }))
    }

    /// What a list says of a recording.
    pub(crate) async fn listed(
        &self,
        RecordingId(id): &RecordingId,
    ) -> Result<Option<(StreamMeta, Summary)>, PluginError> {
        let Some(meta) = self.document(&format!("{id}/meta.json")).await? else { return Ok(None) };
        let summary = self.document(&format!("{id}/manifest.json")).await?.unwrap_or_default();
        Ok(Some((meta, summary)))
    }

    pub(crate) async fn init(&self, id: &RecordingId, init: InitId) -> Result<Option<Bytes>, PluginError> {
        let name: String = init.0.iter().map(|byte| format!("{byte:02x}")).collect();
        self.get(&format!("{}/inits/{name}", id.0)).await
    }

    /// Whether it answers.
    pub(crate) async fn probe(&self) -> Result<(), PluginError> {
        self.names("/").await.map(drop)
    }

    async fn document<T: serde::de::DeserializeOwned>(&self, path: &str) -> Result<Option<T>, PluginError> {
        let Some(bytes) = self.get(path).await? else { return Ok(None) };
        let malformed = |error| PluginError::new(ErrorClass::Internal, format!("{path}: {error}"));
        serde_json::from_slice(&bytes).map(Some).map_err(malformed)
    }

    async fn list(&self, folder: &str) -> Result<Vec<opendal::Entry>, PluginError> {
        within(self.reader()?.list(folder)).await
    }

    /// The names in a folder, in order; those of folders end with a slash.
    async fn names(&self, folder: &str) -> Result<Vec<String>, PluginError> {
        let entries = match self.list(folder).await {
            Err(error) if error.class == ErrorClass::NotFound => Vec::new(),
            entries => entries?,
        };
        let own = folder.trim_start_matches('/');
        let names = entries.iter().filter(|entry| entry.path().trim_start_matches('/') != own);
        let mut names: Vec<_> = names.map(|entry| entry.name().to_owned()).collect();
        names.sort_unstable();
        Ok(names)
    }
}

/// The object of a block.
pub(crate) fn data_path(RecordingId(id): &RecordingId, first: u64) -> String {
    format!("{id}/blocks/{first:020}.dat")
}

/// The object of a block's index.
pub(crate) fn index_path(RecordingId(id): &RecordingId, first: u64) -> String {
    format!("{id}/blocks/{first:020}.idx")
}

fn text(path: &Path) -> Result<String, PluginError> {
    let path = std::path::absolute(path)?;
    path.to_str().map(str::to_owned).ok_or_else(|| PluginError::invalid("the folder's name is no text"))
}

/// What is in a cell, made if it is not there yet.
fn made(
    cell: &OnceLock<Operator>,
    make: impl FnOnce() -> Result<Operator, PluginError>,
) -> Result<&Operator, PluginError> {
    if cell.get().is_none() {
        // Two that make one at a time make the same.
        let _ = cell.set(make()?);
    }
    Ok(cell.get().expect("set above"))
}

async fn within<T>(call: impl Future<Output = opendal::Result<T>>) -> Result<T, PluginError> {
    let timeout = |_| PluginError::new(ErrorClass::Timeout, format!("no answer within {} s", CALL_MAX.as_secs()));
    tokio::time::timeout(CALL_MAX, call).await.map_err(timeout)?.map_err(failure)
}

fn failure(error: opendal::Error) -> PluginError {
    let class = match error.kind() {
        ErrorKind::NotFound => ErrorClass::NotFound,
        ErrorKind::PermissionDenied => ErrorClass::Denied,
        ErrorKind::RateLimited => ErrorClass::RateLimited,
        ErrorKind::ConfigInvalid => ErrorClass::Invalid,
        ErrorKind::Unsupported => ErrorClass::Unsupported,
        _ => ErrorClass::Unavailable,
    };
    // One line: the whole text goes on for many.
    let message = error.to_string();
    PluginError::new(class, message.lines().next().unwrap_or("the backend failed").to_owned()).because(error)
}

/// Does something on a thread that may wait for the disk. It is not cut short when nobody waits for it any more.
pub(crate) async fn on_disk<T: Send + 'static>(
    act: impl FnOnce() -> Result<T, PluginError> + Send + 'static,
) -> Result<T, PluginError> {
    let done = tokio::task::spawn_blocking(act).await;
    done.map_err(|error| PluginError::new(ErrorClass::Internal, error.to_string()))?
}
