//! The sink.

use std::io::Write as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use peerstream_sdk::prelude::*;
use peerstream_sdk::traits::telemetry::{Batch, Interest, TelemetrySink, WriteReport};

use crate::config::Config;
use crate::file::Lines;

/// Writes records as lines of JSON.
#[derive(Debug)]
pub struct Jsonl {
    config: Config,
    lines: Arc<Mutex<Option<Lines>>>,
}

impl Jsonl {
    /// Does something with the open file, on a thread that may wait for the disk.
    async fn with_lines(
        &self,
        act: impl FnOnce(&mut Lines) -> std::io::Result<()> + Send + 'static,
    ) -> Result<(), PluginError> {
        let lines = self.lines.clone();
        let acted = tokio::task::spawn_blocking(move || {
            let mut lines = lines.lock().expect("no holder panics");
            let lines = lines.as_mut().ok_or_else(|| PluginError::unavailable("the file is not open"))?;
            act(lines).map_err(PluginError::from)
        });
        acted.await.map_err(|error| PluginError::new(ErrorClass::Internal, error.to_string()))?
    }
}

impl Plugin for Jsonl {
    const NAME: &'static str = "jsonl";
    const SUMMARY: &'static str = "records as lines of JSON in a file";
    const STABILITY: Stability = Stability::Beta;
    type Config = Config;

    fn build(config: Config, _: &BuildContext<'_>) -> Result<Self, PluginError> {
        Ok(Self { config, lines: Arc::default() })
    }
}

#[async_trait]
impl Lifecycle for Jsonl {
    async fn probe(&self) -> Result<(), PluginError> {
        let folder = self.config.path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(std::path::Path::new("."));
        if !std::fs::metadata(folder)?.is_dir() {
            return Err(PluginError::invalid(format!("{} is no folder", folder.display())));
        }
        Ok(())
    }

    async fn start(&self) -> Result<(), PluginError> {
        let Config { path, bytes_max, old_files_max, .. } = self.config.clone();
        let opened = tokio::task::spawn_blocking(move || Lines::open(&path, bytes_max, old_files_max)).await;
        let opened = opened.map_err(|error| PluginError::new(ErrorClass::Internal, error.to_string()))?;
        let opened = opened.map_err(|error| {
            let PluginError { class, message, .. } = PluginError::from(error);
            PluginError::new(class, format!("{} cannot be written: {message}", self.config.path.display()))
        })?;
        *self.lines.lock().expect("no holder panics") = Some(opened);
        Ok(())
    }

    async fn stop(&self, _: Duration) -> Result<(), PluginError> {
        let lines = self.lines.lock().expect("no holder panics").take();
        drop(lines);
        Ok(())
    }
}

#[async_trait]
impl TelemetrySink for Jsonl {
    fn interest(&self) -> Interest {
        self.config.interest()
    }

    async fn write(&self, batch: Batch) -> Result<WriteReport, PluginError> {
        let report = WriteReport::all(&batch);
        self.with_lines(move |lines| {
            let mut text = Vec::new();
            for record in batch.iter() {
                serde_json::to_writer(&mut text, record)?;
                text.write_all(b"\n")?;
            }
            lines.add(&text)
        })
        .await?;
        Ok(report)
    }

    async fn flush(&self) -> Result<(), PluginError> {
        self.with_lines(|lines| lines.flush()).await
    }
}
