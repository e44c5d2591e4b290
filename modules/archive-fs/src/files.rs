//! Small files that are there whole or not at all.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

/// A file of this kind is no larger, in bytes.
const BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Writes a document in place of the one before; it is on the disk when this returns.
pub(crate) fn write(path: &Path, document: &impl Serialize) -> io::Result<()> {
    let new = path.with_extension("new");
    let mut file = File::create(&new)?;
    file.write_all(&serde_json::to_vec_pretty(document)?)?;
    file.sync_all()?;
    std::fs::rename(&new, path)?;
    sync_folder(path.parent().expect("a file is in a folder"))
}

/// Reads a document; nothing when there is no file.
pub(crate) fn read<T: DeserializeOwned>(path: &Path) -> io::Result<Option<T>> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    let reader = io::Read::take(io::BufReader::new(file), BYTES_MAX);
    let document = serde_json::from_reader(reader);
    document
        .map(Some)
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, format!("{}: {error}", path.display())))
}

/// What was created or renamed in a folder stays so when the power fails.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}
