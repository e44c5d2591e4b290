//! Which files may be loaded.

use std::fs::{self, Metadata};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use peerstream_protocol::crypto::{PublicKey, Signature, Strict, Verifier as _};
use sha2::{Digest as _, Sha256};

use crate::error::{LoadError, Named};

/// A library is no larger, in bytes.
pub const LIBRARY_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// A signature lies beside its library, in a file of this further ending.
pub const SIGNATURE_SUFFIX: &str = "sig";
/// What is signed begins with this, and ends with the SHA-256 of the library.
const SIGNED: &[u8] = b"peerstream/plugin/1";
/// Names nearer than this are told.
const NEAR: f64 = 0.7;

/// What a file must have to be loaded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Requirement {
    /// The SHA-256 that the config says.
    #[default]
    Sha256,
    /// A signature by one of the trusted keys, or the SHA-256 that the config says.
    Signature,
    /// Nothing. For development.
    None,
}

/// Which files may be loaded.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    /// Folders that may hold libraries; none means that nothing is loaded.
    pub dirs: Vec<PathBuf>,
    /// What a file must have.
    pub require: Requirement,
    /// Whose signatures count.
    pub trusted_keys: Vec<PublicKey>,
}

/// One file that the config names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pin {
    /// A file's name, without a folder.
    pub file: String,
    /// 64 hexadecimal digits.
    pub sha256: Option<String>,
}

/// A file that may be loaded, with the bytes that were checked.
pub(crate) struct Approved {
    pub(crate) file: String,
    pub(crate) sha256: String,
    pub(crate) bytes: Vec<u8>,
}

impl Policy {
    /// Finds the file and checks all that must be checked before its code runs.
    pub(crate) fn approve(&self, pin: &Pin) -> Result<Approved, LoadError> {
        let path = self.find(&pin.file)?;
        let bytes = read(&path)?;
        let sha256 = sha256_of(&bytes);
        self.check(&path, pin, &sha256)?;
        Ok(Approved { file: pin.file.clone(), sha256, bytes })
    }

    fn find(&self, file: &str) -> Result<PathBuf, LoadError> {
        let plain = Path::new(file).file_name().is_some_and(|name| name == file);
        let found = self.dirs.iter().map(|dir| dir.join(file)).find(|path| plain && path.is_file());
        match found {
            Some(path) => Ok(path),
            None => Err(LoadError::NotFound { file: file.to_owned(), dirs: self.dirs.clone(), near: self.near(file) }),
        }
    }

    fn near(&self, file: &str) -> Named {
        let entries = self.dirs.iter().filter_map(|dir| fs::read_dir(dir).ok()).flatten().flatten();
        let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
        let mut near: Vec<_> = names.filter(|name| strsim::jaro_winkler(name, file) >= NEAR).collect();
        near.sort();
        near.truncate(3);
        Named(near)
    }

    fn check(&self, path: &Path, pin: &Pin, sha256: &str) -> Result<(), LoadError> {
        let untrusted = |problem: String| Err(LoadError::Untrusted { path: path.to_owned(), problem });
        match (&pin.sha256, self.require) {
            (Some(expected), _) if expected.eq_ignore_ascii_case(sha256) => Ok(()),
            (Some(expected), _) => {
                untrusted(format!("its SHA-256 is {sha256}, the config says {expected}: the file has changed since"))
            }
            (None, Requirement::None) => Ok(()),
            (None, Requirement::Sha256) => {
                untrusted(format!("no SHA-256 in the config; if you trust the file, add sha256 = \"{sha256}\""))
            }
            (None, Requirement::Signature) => self.check_signature(path, sha256).or_else(untrusted),
        }
    }

    fn check_signature(&self, path: &Path, sha256: &str) -> Result<(), String> {
        let beside = signature_path(path);
        let text =
            fs::read_to_string(&beside).map_err(|error| format!("no signature: {}: {error}", beside.display()))?;
        let signature =
            read_signature(text.trim()).ok_or("its signature is malformed, expected 128 hexadecimal digits")?;
        let message = signed(sha256);
        let genuine = |key: &&PublicKey| Strict::default().verify(key, &message, &signature);
        match self.trusted_keys.iter().find(genuine) {
            Some(_) => Ok(()),
            None => Err(format!("its signature is by none of the {} trusted keys", self.trusted_keys.len())),
        }
    }
}

/// The SHA-256 in hexadecimal digits.
pub fn sha256_of(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What belongs into the file beside a library: its signature in hexadecimal digits. `sign` signs a message.
pub fn sign(library: &[u8], sign: impl FnOnce(&[u8]) -> Signature) -> String {
    let signature = sign(&signed(&sha256_of(library)));
    signature.to_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn signed(sha256: &str) -> Vec<u8> {
    [SIGNED, sha256.as_bytes()].concat()
}

fn signature_path(library: &Path) -> PathBuf {
    let mut name = library.as_os_str().to_owned();
    name.push(".");
    name.push(SIGNATURE_SUFFIX);
    name.into()
}

fn read_signature(text: &str) -> Option<Signature> {
    if text.len() != 128 || !text.is_ascii() {
        return None;
    }
    let mut bytes = [0; 64];
    for (index, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[index * 2..index * 2 + 2], 16).ok()?;
    }
    Some(Signature::from_bytes(&bytes))
}

/// Reads a file that nobody but its owner, who is root or us, could have changed.
fn read(path: &Path) -> Result<Vec<u8>, LoadError> {
    let unsafe_ = |path: &Path, problem: String| LoadError::Unsafe { path: path.to_owned(), problem };
    let failed = |error: std::io::Error| unsafe_(path, format!("cannot be read: {error}"));
    let mut file = fs::File::open(path).map_err(failed)?;
    let facts = file.metadata().map_err(failed)?;
    changeable(&facts).map_err(|problem| unsafe_(path, problem))?;
    if let Some(folder) = path.parent() {
        let facts = fs::metadata(folder).map_err(failed)?;
        changeable(&facts).map_err(|problem| unsafe_(folder, problem))?;
    }
    if facts.len() > LIBRARY_BYTES_MAX {
        return Err(unsafe_(path, format!("has {} bytes, expected at most {LIBRARY_BYTES_MAX}", facts.len())));
    }
    let mut bytes = Vec::new();
    file.by_ref().take(LIBRARY_BYTES_MAX).read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}

#[cfg(unix)]
fn changeable(facts: &Metadata) -> Result<(), String> {
    use std::os::unix::fs::MetadataExt as _;
    // SAFETY: the function has no arguments and always succeeds.
    let me = unsafe { libc::geteuid() };
    if facts.mode() & 0o022 != 0 {
        return Err(format!(
            "others may write it (mode {:o}), expected write access for its owner alone",
            facts.mode() & 0o777
        ));
    }
    if facts.uid() != 0 && facts.uid() != me {
        return Err(format!("belongs to user {}, expected root or user {me}", facts.uid()));
    }
    Ok(())
}

#[cfg(not(unix))]
fn changeable(_: &Metadata) -> Result<(), String> {
    Ok(())
}
