//! Small files that are there whole or not at all.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

/// A file of this kind is no larger, in bytes.
pub(crate) const BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Writes a document in place of the one before; it is on the disk when this returns.
pub(crate) fn write(path: &Path, document: &impl Serialize) -> io::Result<()> {
    write_bytes(path, &serde_json::to_vec_pretty(document)?)
}

/// The same with the bytes themselves.
pub(crate) fn write_bytes(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let new = beside(path, "new");
    let written = File::create(&new).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    if let Err(error) = written.and_then(|()| std::fs::rename(&new, path)) {
        let _ = std::fs::remove_file(&new);
        return Err(error);
    }
    sync_folder(path.parent().expect("a file is in a folder"))
}

/// The ending of the mark beside a document that the backend does not have yet.
const UNSENT: &str = "unsent";
/// The ending while it is on its way. A newer document gets a mark of its own meanwhile.
const SENDING: &str = "sending";

/// Writes a document that the courier is to take to the backend.
pub(crate) fn post(path: &Path, document: &impl Serialize) -> io::Result<()> {
    post_bytes(path, &serde_json::to_vec_pretty(document)?)
}

/// The same with the bytes themselves.
pub(crate) fn post_bytes(path: &Path, bytes: &[u8]) -> io::Result<()> {
    // Before it, for a crash in between; and after it, as the one before may be on its way with the old document.
    File::create(beside(path, UNSENT))?;
    write_bytes(path, bytes)?;
    File::create(beside(path, UNSENT)).map(drop)
}

/// The documents of a folder that the backend does not have yet.
pub(crate) fn unsent(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for file in std::fs::read_dir(folder)? {
        let path = file?.path();
        if path.extension().is_some_and(|ending| ending == UNSENT || ending == SENDING) {
            found.push(path.with_extension(""));
        }
    }
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

/// A document is on its way from now on.
pub(crate) fn sending(path: &Path) -> io::Result<()> {
    ignore_missing(std::fs::rename(beside(path, UNSENT), beside(path, SENDING)))
}

/// The backend has what was sent.
pub(crate) fn sent(path: &Path) -> io::Result<()> {
    ignore_missing(std::fs::remove_file(beside(path, SENDING)))
}

fn ignore_missing(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

/// Reads a document; nothing when there is no file.
pub(crate) fn read<T: DeserializeOwned>(path: &Path) -> io::Result<Option<T>> {
    let Some(bytes) = read_bytes(path)? else { return Ok(None) };
    let malformed = |error| io::Error::new(io::ErrorKind::InvalidData, format!("{}: {error}", path.display()));
    serde_json::from_slice(&bytes).map(Some).map_err(malformed)
}

/// The same with the bytes themselves.
pub(crate) fn read_bytes(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    let mut bytes = Vec::new();
    io::Read::read_to_end(&mut io::Read::take(file, BYTES_MAX), &mut bytes)?;
    Ok(Some(bytes))
}

/// The file of the same name with something added to it.
pub(crate) fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(ending);
    name.into()
}

/// What was created or renamed in a folder stays so when the power fails.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}
