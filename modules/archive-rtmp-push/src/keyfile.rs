//! A stream key on its way to a child, where nobody else can read it.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use peerstream_sdk::prelude::*;

use crate::arguments;

/// A file with the key, readable by this account only; it goes when this is dropped.
#[derive(Debug)]
pub(crate) struct KeyFile {
    path: PathBuf,
    is_preset: bool,
}

impl KeyFile {
    /// For an ffmpeg of this version.
    pub(crate) fn new(key: &Secret, version: &str) -> io::Result<Self> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let is_preset = !arguments::takes_values(version);
        let name = format!("peerstream-{}-{}.ffpreset", std::process::id(), COUNT.fetch_add(1, Relaxed));
        let path = std::env::temp_dir().join(name);
        let mut options = OpenOptions::new();
        // Never one that somebody else has put there.
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = match options.open(&path) {
            // Left by a process that was killed and had the same number.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                std::fs::remove_file(&path)?;
                options.open(&path)?
            }
            file => file?,
        };
        let it = Self { path, is_preset };
        let text = key.reveal();
        if is_preset {
            writeln!(file, "rtmp_playpath={text}")?
        } else {
            write!(file, "{text}")?
        }
        Ok(it)
    }

    /// As an argument.
    pub(crate) fn argument(&self) -> arguments::KeyFile<'_> {
        if self.is_preset { arguments::KeyFile::Preset(&self.path) } else { arguments::KeyFile::Value(&self.path) }
    }
}

impl Drop for KeyFile {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.path) {
            tracing::warn!(file = %self.path.display(), %error, "a file with a stream key cannot be removed");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn only_its_owner_reads_the_key_and_it_goes_with_the_file() {
        use std::os::unix::fs::PermissionsExt as _;
        let file = KeyFile::new(&Secret::new("geheim"), "5.1.9").unwrap();
        let arguments::KeyFile::Preset(path) = file.argument() else { panic!() };
        let path = path.to_owned();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "rtmp_playpath=geheim\n");
        drop(file);
        assert!(!path.exists());
    }
}
