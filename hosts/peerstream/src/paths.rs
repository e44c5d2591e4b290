//! Where files are when nobody says.

use std::env;
use std::path::PathBuf;

use anyhow::{Context, Result};

/// `peerstream/publisher.key` in the user's data folder: `$XDG_DATA_HOME`, or `~/.local/share`.
pub fn default_key() -> Result<PathBuf> {
    let folder = data_folder().context("no place for the publisher's key; name a file with --key")?;
    Ok(folder.join("publisher.key"))
}

/// `peerstream` in the user's data folder: `$XDG_DATA_HOME`, or `~/.local/share`.
pub fn data_folder() -> Result<PathBuf> {
    let folder = env::var_os("XDG_DATA_HOME").filter(|folder| !folder.is_empty()).map(PathBuf::from);
    let folder = folder.or_else(|| Some(env::home_dir()?.join(".local/share")));
    Ok(folder.context("there is no home folder")?.join("peerstream"))
}
