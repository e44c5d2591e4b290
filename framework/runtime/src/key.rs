//! The publisher's key on disk, and the numbers of its last epoch and of its last coordinator's term beside it.
//!
//! The file holds 64 hexadecimal digits and comments. It is created for its owner alone and refused when others can
//! read it. While a stream is served the file is locked, so that one machine never signs the same stream twice.

use std::fmt;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use peerstream_protocol::cert::EpochCert;
use peerstream_protocol::crypto::{PublicKey, SecretKey, Signature};
use peerstream_protocol::id::{Epoch, Term};
use peerstream_protocol::segment::Kind;
use peerstream_traits::Secret;
use tracing::{info, warn};

use crate::clock;
use crate::logbook::{Files, Found, Going, Logbook, Seat};

/// A key file is no larger, in bytes.
pub const KEY_FILE_BYTES_MAX: u64 = 4096;
/// A certificate lets its key sign for this long after the epoch's start.
pub const CERT_VALIDITY: Duration = Duration::from_secs(366 * 24 * 3600);

/// The start of 2026, in milliseconds since 1970.
const TERM_START_MS: u64 = 1_767_225_600_000;
/// Half of a node's name is the term it was given in.
const TERM_MAX: u64 = u32::MAX as u64 - 1;

/// Why a key cannot be used. Every message says what to do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// It could not be opened or read.
    #[error("key file {0} cannot be read: {1}")]
    Read(PathBuf, #[source] io::Error),
    /// It could not be created.
    #[error("key file {0} cannot be created: {1}")]
    Create(PathBuf, #[source] io::Error),
    /// It is there already, and `keygen` never overwrites.
    #[error("key file {0} exists already; delete it or name another one")]
    Exists(PathBuf),
    /// The path is a directory or something else that is not a file.
    #[error("key file {0} is not a regular file; name a file inside it, or another path")]
    NotAFile(PathBuf),
    /// Others can read it.
    #[error("key file {path} can be read by others (mode {mode:04o}); fix it with: chmod 600 {path}")]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The content is not a key.
    #[error("key file {path}, line {line}: {found}, expected one line of 64 hexadecimal digits")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is there instead.
        found: String,
    },
    /// Another process holds the lock.
    #[error(
        "key file {0} is in use: another peerstream on this machine is serving this stream; stop it or use another --key"
    )]
    InUse(PathBuf),
}

/// The publisher's key, and where it remembers its epochs. Cheap to clone; the file stays locked until the last clone is gone.
#[derive(Clone, Debug)]
pub struct Publisher {
    secret: Arc<SecretKey>,
    file: Option<Arc<Locked>>,
}

#[derive(Debug)]
struct Locked {
    path: PathBuf,
    /// Whether a broadcast of this process is written down.
    seat: Arc<AtomicBool>,
    /// Holds the lock until it is dropped.
    _lock: File,
}

/// One broadcast's own key and the publisher's word for it.
pub struct EpochKey {
    /// Signs the segments.
    pub key: SecretKey,
    /// Certifies it.
    pub cert: EpochCert,
    /// What the key is made of.
    pub(crate) seed: [u8; 32],
}

impl fmt::Debug for EpochKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EpochKey({:?})", self.cert)
    }
}

/// A broadcast that begins or goes on.
#[derive(Debug)]
pub(crate) struct Begun {
    pub(crate) epoch: EpochKey,
    /// How it goes on; none when it begins.
    pub(crate) going: Option<Going>,
    /// Writes down what is signed; none when nothing is to be gone on with.
    pub(crate) logbook: Option<Logbook>,
}

impl Publisher {
    /// A throw-away key that exists in memory only.
    pub fn ephemeral() -> Self {
        Self { secret: Arc::new(SecretKey::from_seed(&crate::random_seed())), file: None }
    }

    /// Reads the key file, which is created when it is not there, and locks it.
    pub fn open(path: &Path) -> Result<Self, KeyError> {
        match create(path) {
            Ok(_) | Err(KeyError::Exists(_)) => {}
            Err(error) => return Err(error),
        }
        let (secret, file) = read(path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(KeyError::InUse(path.to_owned())),
            Err(TryLockError::Error(error)) => {
                warn!(path = %path.display(), %error, "key file cannot be locked; do not serve it twice");
            }
        }
        Ok(Self {
            secret: Arc::new(secret),
            file: Some(Arc::new(Locked { path: path.to_owned(), seat: Arc::default(), _lock: file })),
        })
    }

    /// The public half, which names the stream.
    pub fn public(&self) -> PublicKey {
        self.secret.public()
    }

    /// Signs a message, which must begin with what it is for, so that it can be taken for nothing else.
    pub fn sign(&self, message: &[u8]) -> Signature {
        self.secret.sign(message)
    }

    /// A secret of the coordinator that outlives a restart.
    pub fn coordinator_secret(&self) -> [u8; 32] {
        self.secret.derive("peerstream 2026 coordinator secret")
    }

    /// A secret for admission tickets that outlives a restart.
    pub fn admission_secret(&self) -> [u8; 32] {
        self.secret.derive("peerstream 2026 admission secret")
    }

    /// What streamers' programs show to go on air, unless an input's options say otherwise: 24 letters and digits that outlive a
    /// restart. Who knows it does not know the publisher's key.
    pub fn stream_key(&self) -> Secret {
        const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
        let secret = self.secret.derive("peerstream 2026 stream key");
        Secret::new(secret.iter().take(24).map(|byte| char::from(LETTERS[usize::from(byte % 32)])).collect::<String>())
    }

    /// A secret for logins to the dashboard that outlives a restart.
    pub fn dashboard_secret(&self) -> [u8; 32] {
        self.secret.derive("peerstream 2026 dashboard secret")
    }

    /// A secret for logins to the desk where notices are decided; it outlives a restart.
    pub fn desk_secret(&self) -> [u8; 32] {
        self.secret.derive("peerstream 2026 desk secret")
    }

    /// Signs the log of notices and the receipts. Who knows it does not know the publisher's key.
    pub fn operator_key(&self) -> SecretKey {
        SecretKey::from_seed(&self.secret.derive("peerstream 2026 operator key"))
    }

    /// Goes on with the broadcast of this kind that was cut short less than `within` ago, or begins one.
    pub(crate) fn begin(&self, kind: Kind, within: Duration) -> Begun {
        let without = |epoch| Begun { epoch, going: None, logbook: None };
        let Some(file) = &self.file else { return without(self.begin_epoch()) };
        let Some(seat) = Seat::take(&file.seat) else {
            warn!("another broadcast of this publisher is on air: this one cannot be gone on with after a crash");
            return without(self.begin_epoch());
        };
        let files = Files::beside(&file.path);
        let path = file.path.display();
        if within.is_zero() {
            if let Err(error) = files.remove() {
                warn!(%path, %error, "what the last broadcast has left beside the key cannot be removed");
            }
            return without(self.begin_epoch());
        }
        let begun = match self.find(&files, kind, within) {
            Some(found) => {
                Logbook::go_on(files.clone(), &found, seat).map(|logbook| (found.epoch, Some(found.going), logbook))
            }
            None => {
                let epoch = self.begin_epoch();
                Logbook::begin(files.clone(), &epoch, kind, seat).map(|logbook| (epoch, None, logbook))
            }
        };
        match begun {
            Ok((epoch, going, logbook)) => Begun { epoch, going, logbook: Some(logbook) },
            Err(error) => {
                warn!(%path, %error, "nothing can be written beside the key: after a crash another broadcast begins");
                let _ = files.remove();
                without(self.begin_epoch())
            }
        }
    }

    /// The broadcast that was cut short, if it can be gone on with.
    fn find(&self, files: &Files, kind: Kind, within: Duration) -> Option<Found> {
        let last = self.file.as_ref().and_then(|file| read_number(&epoch_path(&file.path), "epoch"));
        let found = files.find(&self.public(), kind, within, clock::wall());
        let found = found.and_then(|found| match last == Some(found.epoch.cert.epoch.0) {
            true => Ok(found),
            false => Err(Some("another one has begun since".to_owned())),
        });
        if let Err(Some(why)) = &found {
            info!("the last broadcast was cut short; another one begins: {why}");
        }
        found.ok()
    }

    /// Begins an epoch: its number is the wall clock, or one more than the last one when the clock was set back.
    pub fn begin_epoch(&self) -> EpochKey {
        let wall = clock::wall();
        let epoch = self.next_epoch(wall.as_millis() as u64);
        let seed = crate::random_seed();
        let key = SecretKey::from_seed(&seed);
        let cert = EpochCert::issue(&self.secret, epoch, key.public(), (wall + CERT_VALIDITY).as_secs());
        EpochKey { key, cert, seed }
    }

    /// Begins a coordinator's reign: quarters of a second since the start of 2026, so that it fits 32 bits until 2060, or
    /// one more than the last one.
    pub fn begin_term(&self) -> Term {
        let quarters = (clock::wall().as_millis() as u64).saturating_sub(TERM_START_MS) / 250;
        Term(self.next_term(quarters))
    }

    fn next_term(&self, quarters: u64) -> u64 {
        let Some(file) = &self.file else { return quarters.clamp(1, TERM_MAX) };
        let store = with_suffix(&file.path, ".term");
        let last = read_number(&store, "term");
        let term = last.map_or(quarters, |last| quarters.max(last.saturating_add(1))).clamp(1, TERM_MAX);
        if let Err(error) = write_number(&store, term) {
            let path = store.display();
            warn!(%path, %error, "term cannot be stored; do not set the clock back before the next start");
        }
        term
    }

    fn next_epoch(&self, wall_ms: u64) -> Epoch {
        let Some(file) = &self.file else { return Epoch(wall_ms) };
        let store = epoch_path(&file.path);
        let last = read_number(&store, "epoch");
        if let Some(last) = last.filter(|last| *last > wall_ms) {
            let back_s = (last - wall_ms) / 1000;
            warn!(back_s, "clock is set back since the last broadcast; check it, viewers use it to measure the delay");
        }
        let epoch = last.map_or(wall_ms, |last| wall_ms.max(last.saturating_add(1)));
        if let Err(error) = write_number(&store, epoch) {
            let path = store.display();
            warn!(%path, %error, "epoch cannot be stored; after a restart with a clock set back viewers refuse the stream");
        }
        Epoch(epoch)
    }
}

/// Creates a key file with mode 0600; never overwrites one.
pub fn create(path: &Path) -> Result<PublicKey, KeyError> {
    if path.exists() {
        return Err(KeyError::Exists(path.to_owned()));
    }
    let error = |error: io::Error| match error.kind() {
        io::ErrorKind::AlreadyExists => KeyError::Exists(path.to_owned()),
        _ => KeyError::Create(path.to_owned(), error),
    };
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs::create_dir_all(folder).map_err(error)?;
    }
    let seed = crate::random_seed();
    let public = SecretKey::from_seed(&seed).public();
    // Written whole under another name first, so that no reader ever sees half a key.
    let draft = with_suffix(path, &format!(".{}.new", std::process::id()));
    let written = write_private(&draft, &text(&seed, &public)).and_then(|()| place(&draft, path));
    let _ = fs::remove_file(&draft);
    written.map_err(error)?;
    Ok(public)
}

/// A link, unlike a rename, never replaces a file; some file systems have none.
fn place(draft: &Path, path: &Path) -> io::Result<()> {
    match fs::hard_link(draft, path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => fs::rename(draft, path),
        result => result,
    }
}

fn text(seed: &[u8; 32], public: &PublicKey) -> String {
    let secret = PublicKey(*seed);
    format!(
        "# PeerStream publisher key. Keep it secret and keep a copy: whoever has it can broadcast as you.\n\
         # Public key, which viewers may pin: {public}\n\
         {secret}\n"
    )
}

pub(crate) fn write_private(path: &Path, text: &str) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

fn read(path: &Path) -> Result<(SecretKey, File), KeyError> {
    let error = |error| KeyError::Read(path.to_owned(), error);
    // Looked at before it is opened: opening a named pipe would wait for its writer.
    let metadata = fs::metadata(path).map_err(error)?;
    if !metadata.is_file() {
        return Err(KeyError::NotAFile(path.to_owned()));
    }
    refuse_exposed(path, &metadata)?;
    let file = File::open(path).map_err(error)?;
    let mut bytes = Vec::new();
    (&file).take(KEY_FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(error)?;
    Ok((parse(path, &bytes)?, file))
}

#[cfg(unix)]
fn refuse_exposed(path: &Path, metadata: &fs::Metadata) -> Result<(), KeyError> {
    let mode = std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o7777;
    if mode & 0o077 == 0 { Ok(()) } else { Err(KeyError::Exposed { path: path.to_owned(), mode }) }
}

#[cfg(not(unix))]
fn refuse_exposed(_path: &Path, _metadata: &fs::Metadata) -> Result<(), KeyError> {
    Ok(())
}

fn parse(path: &Path, bytes: &[u8]) -> Result<SecretKey, KeyError> {
    let malformed = |line, found: &str| KeyError::Malformed { path: path.to_owned(), line, found: found.to_owned() };
    if bytes.len() as u64 > KEY_FILE_BYTES_MAX {
        return Err(malformed(1, "more than 4 KiB"));
    }
    let text = std::str::from_utf8(bytes).map_err(|_| malformed(1, "bytes that are not text"))?;
    let mut key = None;
    for (number, line) in text.lines().map(str::trim).enumerate() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        // What is found is not shown: it may be most of a secret.
        let Some(PublicKey(seed)) = PublicKey::from_hex(line) else {
            return Err(malformed(number + 1, &format!("{} characters that are not a key", line.chars().count())));
        };
        if key.replace(SecretKey::from_seed(&seed)).is_some() {
            return Err(malformed(number + 1, "a second key"));
        }
    }
    key.ok_or_else(|| malformed(text.lines().count().max(1), "no key"))
}

fn epoch_path(key: &Path) -> PathBuf {
    with_suffix(key, ".epoch")
}

pub(crate) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn read_number(path: &Path, what: &str) -> Option<u64> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
        Err(error) => {
            warn!(path = %path.display(), %error, "last {what} cannot be read");
            return None;
        }
    };
    let number = text.trim().parse().ok();
    if number.is_none() {
        warn!(path = %path.display(), "last {what} is not a number and is ignored");
    }
    number
}

fn write_number(path: &Path, number: u64) -> io::Result<()> {
    let draft = with_suffix(path, ".new");
    let mut file = File::create(&draft)?;
    writeln!(file, "{number}")?;
    file.sync_all()?;
    fs::rename(&draft, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> tempfile::TempDir {
        tempfile::tempdir().unwrap()
    }

    #[track_caller]
    fn check_refused(path: &Path, words: &[&str]) {
        let error = Publisher::open(path).unwrap_err().to_string();
        words.iter().for_each(|word| assert!(error.contains(word), "`{word}` is not in: {error}"));
        assert!(error.contains(path.to_str().unwrap()), "the path is not in: {error}");
    }

    fn write(path: &Path, text: &[u8]) {
        fs::write(path, text).unwrap();
        #[cfg(unix)]
        set_mode(path, 0o600);
    }

    #[cfg(unix)]
    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
    }

    #[test]
    fn key_is_created_on_first_use_for_its_owner_alone_and_found_again() {
        let folder = folder();
        let path = folder.path().join("new/folder/key");
        let first = Publisher::open(&path).unwrap().public();
        #[cfg(unix)]
        assert_eq!(std::os::unix::fs::MetadataExt::mode(&fs::metadata(&path).unwrap()) & 0o777, 0o600);
        assert_eq!(Publisher::open(&path).unwrap().public(), first);
        assert!(fs::read_to_string(&path).unwrap().contains(&first.to_string()));
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "no draft is left");
    }

    #[test]
    fn key_in_use_is_refused_until_it_is_released() {
        let folder = folder();
        let path = folder.path().join("key");
        let first = Publisher::open(&path).unwrap();
        check_refused(&path, &["in use", "--key"]);
        drop(first);
        Publisher::open(&path).unwrap();
    }

    #[test]
    fn terms_grow_whatever_the_clock_says() {
        let folder = folder();
        let publisher = Publisher::open(&folder.path().join("key")).unwrap();
        assert_eq!(publisher.next_term(1_000), 1_000);
        assert_eq!(publisher.next_term(1_000), 1_001, "two starts within a quarter of a second");
        assert_eq!(publisher.next_term(5), 1_002, "the clock was set back");
        let (first, second) = (publisher.begin_term(), publisher.begin_term());
        assert!(first < second && second.0 < 1 << 32);
    }

    #[cfg(unix)]
    #[test]
    fn key_that_others_can_read_is_refused_with_the_remedy() {
        let folder = folder();
        let path = folder.path().join("key");
        create(&path).unwrap();
        for mode in [0o644, 0o640, 0o604, 0o660] {
            set_mode(&path, mode);
            check_refused(&path, &["chmod 600", &format!("{mode:04o}")]);
        }
    }

    #[test]
    fn garbage_is_refused_and_not_shown() {
        let folder = folder();
        let path = folder.path().join("key");
        let hex = "ab".repeat(32);
        write(&path, b"");
        check_refused(&path, &["line 1", "no key"]);
        write(&path, b"# comment\nsecret");
        check_refused(&path, &["line 2", "6 characters", "64 hexadecimal digits"]);
        write(&path, format!("{hex}\n\n{hex}\n").as_bytes());
        check_refused(&path, &["line 3", "a second key"]);
        write(&path, &[0xff; 32]);
        check_refused(&path, &["not text"]);
        write(&path, &[b'#'; 5000]);
        check_refused(&path, &["4 KiB"]);
        write(&path, format!("{}x", &hex[1..]).as_bytes());
        let error = Publisher::open(&path).unwrap_err().to_string();
        assert!(!error.contains("abab"), "part of a secret is shown: {error}");
    }

    #[test]
    fn directory_in_place_of_a_key_is_refused() {
        let folder = folder();
        check_refused(folder.path(), &["not a regular file"]);
    }

    #[test]
    fn keygen_never_overwrites() {
        let folder = folder();
        let path = folder.path().join("key");
        write(&path, b"something dear");
        assert!(matches!(create(&path), Err(KeyError::Exists(_))));
        assert_eq!(fs::read(&path).unwrap(), b"something dear");
    }

    #[test]
    fn epoch_grows_even_when_the_clock_is_set_back() {
        let folder = folder();
        let path = folder.path().join("key");
        let publisher = Publisher::open(&path).unwrap();
        assert_eq!(publisher.next_epoch(1_000), Epoch(1_000));
        assert_eq!(publisher.next_epoch(5_000), Epoch(5_000));
        assert_eq!(publisher.next_epoch(2_000), Epoch(5_001));
        drop(publisher);
        assert_eq!(Publisher::open(&path).unwrap().next_epoch(2_000), Epoch(5_002));
    }

    #[test]
    fn unreadable_last_epoch_does_not_stop_a_broadcast() {
        let folder = folder();
        let path = folder.path().join("key");
        let publisher = Publisher::open(&path).unwrap();
        fs::write(epoch_path(&path), "not a number").unwrap();
        assert_eq!(publisher.next_epoch(7), Epoch(7));
        fs::remove_file(epoch_path(&path)).unwrap();
        fs::create_dir(epoch_path(&path)).unwrap();
        assert_eq!(publisher.next_epoch(8), Epoch(8));
    }

    #[test]
    fn epoch_has_a_key_of_its_own_that_the_publisher_certifies() {
        let publisher = Publisher::ephemeral();
        let (one, two) = (publisher.begin_epoch(), publisher.begin_epoch());
        assert_ne!(one.key.public(), two.key.public());
        assert_eq!(one.cert.publisher, publisher.public());
        assert_eq!(one.cert.key, one.key.public());
        assert!(one.cert.is_genuine(&mut peerstream_protocol::crypto::Strict::default()));
    }
}
