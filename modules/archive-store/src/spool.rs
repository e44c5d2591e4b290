//! The room that blocks take before the backend has them.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use peerstream_sdk::prelude::*;
use peerstream_sdk::traits::archive::RecordingId;

use crate::block;

/// The folder of all recordings on the local disk, and how much waits in it.
#[derive(Debug)]
pub(crate) struct Spool {
    pub(crate) folder: PathBuf,
    used: AtomicU64,
    bytes_max: u64,
}

impl Spool {
    pub(crate) fn new(folder: PathBuf, bytes_max: u64) -> Self {
        Self { folder, used: AtomicU64::new(0), bytes_max }
    }

    /// Where a recording is; refuses what is no name of one.
    pub(crate) fn of(&self, recording: &RecordingId) -> Result<PathBuf, PluginError> {
        let RecordingId(name) = recording;
        let plain = name.chars().all(|char| char.is_ascii_alphanumeric() || char == '-');
        if !plain || name.is_empty() || name.len() > 128 {
            return Err(PluginError::invalid("that is no recording's name"));
        }
        Ok(self.folder.join(name))
    }

    /// The recordings that are there.
    pub(crate) fn recordings(&self) -> io::Result<Vec<RecordingId>> {
        let files = match std::fs::read_dir(&self.folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            files => files?,
        };
        let mut found = Vec::new();
        for file in files {
            let name = file?.file_name().to_string_lossy().into_owned();
            if !name.starts_with('.') {
                found.push(RecordingId(name));
            }
        }
        found.sort();
        Ok(found)
    }

    /// Counts what is there.
    pub(crate) fn measure(&self) -> io::Result<()> {
        let mut used = 0;
        for RecordingId(name) in self.recordings()? {
            used += waiting(&self.folder.join(name))?;
        }
        self.used.store(used, Relaxed);
        Ok(())
    }

    /// Makes room for so many bytes.
    pub(crate) fn take(&self, bytes: u64) -> Result<(), PluginError> {
        if self.used.fetch_add(bytes, Relaxed) + bytes <= self.bytes_max {
            return Ok(());
        }
        self.give_back(bytes);
        let message = format!("{} bytes wait for the backend, which is all that spool_bytes_max allows", self.used());
        Err(PluginError::unavailable(message))
    }

    pub(crate) fn give_back(&self, bytes: u64) {
        // A block that somebody has put there by hand was never counted.
        let _ = self.used.fetch_update(Relaxed, Relaxed, |used| Some(used.saturating_sub(bytes)));
    }

    pub(crate) fn used(&self) -> u64 {
        self.used.load(Relaxed)
    }
}

/// Bytes of the blocks of one recording.
fn waiting(folder: &Path) -> io::Result<u64> {
    let mut bytes = 0;
    for ending in [block::OPEN, block::CLOSED] {
        for first in block::list(folder, ending)? {
            bytes += std::fs::metadata(block::path(folder, first, ending))?.len();
        }
    }
    Ok(bytes)
}
