//! A private copy of what was checked, named by its hash: what is loaded is what was checked, and a library that is replaced where
//! it was found changes nothing in a process that runs.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use crate::error::LoadError;
use crate::policy::{Approved, sha256_of};

/// Writes the copy, unless it is there and whole.
pub(crate) fn keep(approved: &Approved) -> Result<PathBuf, LoadError> {
    let refused = |error: std::io::Error| LoadError::Refused {
        file: approved.file.clone(),
        problem: format!("no private copy can be made: {error}"),
    };
    let folder = folder().map_err(refused)?;
    let path = folder.join(format!("{}.so", approved.sha256));
    if fs::read(&path).is_ok_and(|there| sha256_of(&there) == approved.sha256) {
        return Ok(path);
    }
    let partial = folder.join(format!("{}.{}", approved.sha256, std::process::id()));
    write(&partial, &approved.bytes).map_err(refused)?;
    fs::rename(&partial, &path).map_err(refused)?;
    Ok(path)
}

fn write(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o500);
    let mut file: File = options.open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// A folder of ours alone.
fn folder() -> std::io::Result<PathBuf> {
    // SAFETY: the function has no arguments and always succeeds.
    #[cfg(unix)]
    let me = unsafe { libc::geteuid() };
    #[cfg(not(unix))]
    let me = 0;
    let base = std::env::var_os("XDG_RUNTIME_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
    let folder = base.join(format!("peerstream-plugins-{me}"));
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    match builder.create(&folder) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    check_ours(&folder, me)?;
    Ok(folder)
}

#[cfg(unix)]
fn check_ours(folder: &Path, me: u32) -> std::io::Result<()> {
    use std::os::unix::fs::MetadataExt as _;
    let facts = fs::symlink_metadata(folder)?;
    if !facts.is_dir() || facts.uid() != me || facts.mode() & 0o077 != 0 {
        let problem = format!("{} is not a folder of ours alone", folder.display());
        return Err(std::io::Error::new(std::io::ErrorKind::PermissionDenied, problem));
    }
    Ok(())
}

#[cfg(not(unix))]
fn check_ours(_: &Path, _: u32) -> std::io::Result<()> {
    Ok(())
}
