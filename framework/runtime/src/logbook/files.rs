//! The two files of a broadcast that may be cut short: what stands in them, and what the next start makes of it.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use peerstream_node::Resume;
use peerstream_protocol::cert::EpochCert;
use peerstream_protocol::crypto::{PublicKey, SecretKey, Strict, hash};
use peerstream_protocol::id::{Epoch, Seq};
use peerstream_protocol::segment::Kind;
use serde::{Deserialize, Serialize};

use super::STRIDE;
use crate::key::{EpochKey, with_suffix, write_private};

/// The durable file is no larger, in bytes.
const RECORD_BYTES_MAX: u64 = 256 * 1024;
/// The last record is exactly as large, in bytes: within one page, so that it is there whole or not at all.
pub(super) const LAST_BYTES: usize = 512;
/// A clock that was set back by no more, in microseconds, was only corrected.
const CLOCK_STEP_US_MAX: u64 = 5_000_000;
/// A certificate in hexadecimal digits is no longer.
const CERT_DIGITS_MAX: usize = 1_024;

/// What was signed last, as far as it is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Last {
    pub(super) epoch: Epoch,
    /// Nothing from this number on was signed.
    pub(super) next: Seq,
    /// The hash of the header before it; none while that is being signed.
    pub(super) prev: Option<String>,
    /// The end of the latest segment on the broadcast's clock, in microseconds, and the wall clock when it was complete, in microseconds
    /// since 1970; zero and the start of the broadcast before there was one.
    pub(super) end_us: u64,
    pub(super) wall_us: u64,
    /// The wall clock at the beginning of the first segment.
    pub(super) began_us: Option<u64>,
    /// The wall clock when the process was last known to be alive.
    pub(super) alive_us: u64,
    /// Names the run of the machine.
    pub(super) boot: Option<String>,
}

/// The durable file.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Record {
    pub(super) epoch: Epoch,
    pub(super) kind: Kind,
    /// In hexadecimal digits, like the secret.
    pub(super) cert: String,
    pub(super) secret: String,
    /// Nothing from this number on was signed.
    pub(super) reserved: Seq,
    pub(super) last: Last,
    /// Parts that nobody may play.
    pub(super) withheld: Vec<(Seq, Seq)>,
}

/// A broadcast that was cut short, to be gone on with.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) epoch: EpochKey,
    pub(crate) going: Going,
    pub(super) record: Record,
}

/// How a broadcast goes on.
#[derive(Clone, Debug, Default)]
pub(crate) struct Going {
    /// With which segment; none when nothing was signed.
    pub(crate) resume: Option<Resume>,
    /// The broadcast's clock now, in microseconds; none when nothing was signed.
    pub(crate) now_us: Option<u64>,
    /// The wall clock at its beginning, microseconds since 1970.
    pub(crate) began_us: Option<u64>,
    pub(crate) withheld: Vec<(Seq, Seq)>,
    /// How long nobody was there.
    pub(crate) away: Duration,
}

/// Where the files of a publisher are.
#[derive(Clone, Debug)]
pub(crate) struct Files {
    pub(super) record: PathBuf,
    pub(super) last: PathBuf,
    pub(super) boot: Option<String>,
    /// Numbers that are reserved at once.
    pub(super) stride: u64,
}

impl Files {
    pub(crate) fn beside(key: &Path) -> Self {
        let (record, last) = (with_suffix(key, ".broadcast"), with_suffix(key, ".last"));
        Self { record, last, boot: boot(), stride: STRIDE }
    }

    /// The broadcast that was cut short less than `within` ago, or why there is none to go on with; no words when there was none.
    pub(crate) fn find(
        &self,
        publisher: &PublicKey,
        kind: Kind,
        within: Duration,
        now: Duration,
    ) -> Result<Found, Option<String>> {
        let bytes = match read(&self.record, RECORD_BYTES_MAX) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(None),
            bytes => bytes.map_err(|error| Some(format!("{} cannot be read: {error}", self.record.display())))?,
        };
        let unreadable = |_| Some(format!("{} cannot be read", self.record.display()));
        let record: Record = serde_json::from_slice(&bytes).map_err(unreadable)?;
        let epoch = record.epoch(publisher).ok_or_else(|| Some("its certificate is not ours".to_owned()))?;
        let last = self.last().filter(|last| last.epoch == record.epoch && last.next <= record.reserved);
        let now_us = now.as_micros() as u64;
        let alive_us = last.as_ref().map_or(0, |last| last.alive_us).max(record.last.alive_us);
        if now_us.saturating_add(CLOCK_STEP_US_MAX) < alive_us {
            return Err(Some("the clock was set back since".into()));
        }
        let away = Duration::from_micros(now_us.saturating_sub(alive_us));
        if away > within {
            return Err(Some(format!("that was {} s ago, more than {} s", away.as_secs(), within.as_secs())));
        }
        if record.kind != kind {
            return Err(Some("it carried something else".into()));
        }
        if (now + within).as_secs() >= epoch.cert.expiry_s {
            return Err(Some("its certificate has expired".into()));
        }
        Ok(Found::new(epoch, record, last, away, now_us))
    }

    /// What was signed last, if nothing can have been lost of it.
    fn last(&self) -> Option<Last> {
        let bytes = read(&self.last, LAST_BYTES as u64).ok()?;
        let (sum, text) = bytes.split_at_checked(64)?;
        let text = text.trim_ascii_end();
        if sum != PublicKey(hash(text)).to_string().as_bytes() {
            return None;
        }
        let last: Last = serde_json::from_slice(text).ok()?;
        (last.boot.is_some() && last.boot == self.boot).then_some(last)
    }

    /// Nothing is gone on with after this.
    pub(crate) fn remove(&self) -> io::Result<()> {
        let removed = ignore_missing(fs::remove_file(&self.record));
        removed.and(ignore_missing(fs::remove_file(&self.last)))?;
        sync_folder(&self.record)
    }

    pub(super) fn write(&self, record: &Record) -> io::Result<()> {
        let draft = with_suffix(&self.record, ".new");
        ignore_missing(fs::remove_file(&draft))?;
        let text = serde_json::to_string_pretty(record)?;
        if let Err(error) = write_private(&draft, &text).and_then(|()| fs::rename(&draft, &self.record)) {
            let _ = fs::remove_file(&draft);
            return Err(error);
        }
        sync_folder(&self.record)
    }

    /// An empty last record.
    pub(super) fn create_last(&self) -> io::Result<File> {
        ignore_missing(fs::remove_file(&self.last))?;
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        options.open(&self.last)
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Record(epoch {}, reserved up to {})", self.epoch.0, self.reserved.0)
    }
}

impl Record {
    /// Its key and certificate, if they are this publisher's.
    fn epoch(&self, publisher: &PublicKey) -> Option<EpochKey> {
        let cert = EpochCert::decode(&unhex(&self.cert)?).ok()?;
        let PublicKey(seed) = PublicKey::from_hex(&self.secret)?;
        let key = SecretKey::from_seed(&seed);
        let ours = (cert.publisher, cert.epoch, cert.key) == (*publisher, self.epoch, key.public());
        (ours && cert.is_genuine(&mut Strict::default())).then_some(EpochKey { key, cert, seed })
    }
}

impl Found {
    fn new(epoch: EpochKey, record: Record, exact: Option<Last>, away: Duration, now_us: u64) -> Self {
        let hash = |last: &Last| last.prev.as_deref().and_then(PublicKey::from_hex).map(|prev| prev.0);
        let resume = match &exact {
            Some(last) if last.next == Seq(0) => None,
            Some(last) => Some(match hash(last) {
                Some(prev) => Resume { next: last.next, prev },
                None => Resume { next: last.next.next(), prev: [0; 32] },
            }),
            None => Some(Resume { next: record.reserved.next(), prev: [0; 32] }),
        };
        let last = exact.as_ref().unwrap_or(&record.last);
        let since_us = now_us.saturating_sub(last.wall_us);
        let going = Going {
            resume,
            now_us: resume.map(|_| last.end_us.saturating_add(since_us)),
            began_us: last.began_us.or(resume.map(|_| record.last.wall_us)),
            withheld: record.withheld.clone(),
            away,
        };
        Self { epoch, going, record }
    }
}

pub(super) fn write_last(file: &mut File, last: &Last) -> io::Result<()> {
    let text = serde_json::to_vec(last)?;
    let mut bytes = PublicKey(hash(&text)).to_string().into_bytes();
    bytes.extend(text);
    if bytes.len() > LAST_BYTES {
        return Err(io::Error::other("the last record is too large"));
    }
    bytes.resize(LAST_BYTES, b' ');
    file.seek(SeekFrom::Start(0))?;
    file.write_all(&bytes)
}

fn read(path: &Path, bytes_max: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(bytes_max).read_to_end(&mut bytes)?;
    Ok(bytes)
}

pub(super) fn ignore_missing(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

/// What was renamed or removed beside this file stays so when the power fails.
fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

/// Names the run of the machine; none where nothing does.
fn boot() -> Option<String> {
    let text = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let id = text.trim();
    (id.len() == 36).then(|| id.to_owned())
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    if text.len() > CERT_DIGITS_MAX || !text.len().is_multiple_of(2) {
        return None;
    }
    let digit = |c: u8| (c as char).to_digit(16);
    text.as_bytes().chunks_exact(2).map(|pair| Some((digit(pair[0])? * 16 + digit(pair[1])?) as u8)).collect()
}
