//! The handler.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use peerstream_sdk::prelude::*;
use peerstream_sdk::traits::compliance::{Case, ComplianceHandler, Decision};

use crate::config::Config;

/// Puts complaints into a folder.
#[derive(Clone, Debug)]
pub struct Queue(Config);

impl Queue {
    async fn on_disk<T: Send + 'static>(
        &self,
        act: impl FnOnce(&Config) -> Result<T, PluginError> + Send + 'static,
    ) -> Result<T, PluginError> {
        let config = self.0.clone();
        let done = tokio::task::spawn_blocking(move || act(&config)).await;
        done.map_err(|error| PluginError::new(ErrorClass::Internal, error.to_string()))?
    }
}

impl Plugin for Queue {
    const NAME: &'static str = "queue";
    const SUMMARY: &'static str = "complaints wait in a folder for a person to decide";
    const STABILITY: Stability = Stability::Beta;
    type Config = Config;

    fn build(config: Config, _: &BuildContext<'_>) -> Result<Self, PluginError> {
        Ok(Self(config))
    }
}

#[async_trait]
impl Lifecycle for Queue {
    async fn start(&self) -> Result<(), PluginError> {
        self.on_disk(|config| {
            create(&config.folder).map_err(|error| {
                let PluginError { class, message, .. } = PluginError::from(error);
                PluginError::new(class, format!("{} cannot be created: {message}", config.folder.display()))
            })
        })
        .await
    }
}

/// For its owner alone: the files name who complains.
fn create(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

#[async_trait]
impl ComplianceHandler for Queue {
    async fn assess(&self, case: &Case) -> Result<Decision, PluginError> {
        let case = case.clone();
        self.on_disk(move |config| put(config, &case)).await?;
        Ok(Decision::Queue)
    }
}

fn put(config: &Config, case: &Case) -> Result<(), PluginError> {
    let path = config.folder.join(format!("case-{:06}-r{}.json", case.id, case.revision));
    if path.exists() {
        return Ok(());
    }
    if fs::read_dir(&config.folder)?.count() >= config.cases_max {
        return Err(PluginError::unavailable(format!("{} cases wait already", config.cases_max)));
    }
    let new = path.with_extension("new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).open(&new)?;
    file.write_all(&serde_json::to_vec_pretty(case).map_err(io::Error::from)?)?;
    file.sync_all()?;
    fs::rename(&new, &path)?;
    Ok(File::open(&config.folder)?.sync_all()?)
}
