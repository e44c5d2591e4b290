//! `plugins pin` and `plugins sign`: which file is meant.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use clap::Args;
use peerstream::key::Publisher;
use peerstream_loader::{SIGNATURE_SUFFIX, sha256_of};

use crate::banner;

/// Options of `plugins pin`.
#[derive(Args, Debug)]
pub struct PinArgs {
    /// The library
    pub file: PathBuf,
}

/// Options of `plugins sign`.
#[derive(Args, Debug)]
pub struct SignArgs {
    /// The library
    pub file: PathBuf,
    /// A key file such as `peerstream keygen` makes; better one for this alone than a stream's
    #[arg(long, value_name = "FILE")]
    pub key: PathBuf,
}

fn read(file: &Path) -> Result<Vec<u8>> {
    fs::read(file).with_context(|| format!("{} cannot be read", file.display()))
}

/// Shows the lines of a config that load this file and no other.
pub fn pin(args: &PinArgs) -> Result<()> {
    let sha256 = sha256_of(&read(&args.file)?);
    let file = args.file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let stem = args.file.file_stem().unwrap_or_default().to_string_lossy();
    let name: String = stem.strip_prefix("lib").unwrap_or(&stem).replace('_', "-");
    let quoted = toml::Value::String(file);
    banner::line(&format!("[plugins.load.{name}]\nfile = {quoted}\nsha256 = \"{sha256}\""));
    Ok(())
}

/// Writes a signature beside the file.
pub fn sign(args: &SignArgs) -> Result<()> {
    let library = read(&args.file)?;
    let key = Publisher::open(&args.key)?;
    let text = peerstream_loader::sign(&library, |message| key.sign(message));
    let mut beside = args.file.clone().into_os_string();
    beside.push(".");
    beside.push(SIGNATURE_SUFFIX);
    let beside = PathBuf::from(beside);
    fs::write(&beside, text + "\n").with_context(|| format!("{} cannot be written", beside.display()))?;
    banner::line(&format!("{} is signed; trust it with trusted_keys = [\"{}\"]", beside.display(), key.public()));
    Ok(())
}
