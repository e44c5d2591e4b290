//! Small files that are there whole or not at all.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::Path;

use peerstream_sdk::serde::Serialize;
use peerstream_sdk::serde::de::DeserializeOwned;

/// A file of this kind is no larger, in bytes.
const BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Writes a document in place of the one before, readable by the owner only; it is on the disk when this returns.
pub(crate) fn write(path: &Path, document: &impl Serialize) -> io::Result<()> {
    let new = path.with_extension("new");
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&new)?;
    file.write_all(&serde_json::to_vec_pretty(document)?)?;
    file.sync_all()?;
    std::fs::rename(&new, path)?;
    sync_folder(path.parent().unwrap_or(Path::new(".")))
}

/// Reads a document; nothing when there is no file.
pub(crate) fn read<T: DeserializeOwned>(path: &Path) -> io::Result<Option<T>> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    let document = serde_json::from_reader(io::BufReader::new(file).take(BYTES_MAX));
    let told = |error| io::Error::new(io::ErrorKind::InvalidData, format!("{}: {error}", path.display()));
    document.map(Some).map_err(told)
}

/// Removes a file if it is there.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// What was created or renamed in a folder stays so when the power fails.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}
