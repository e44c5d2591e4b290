//! The log of complaints: one line of JSON for each thing that happened, on disk before anything else is done, each with the hash
//! of the line before, so that what was changed later shows.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Seek, SeekFrom, Write};
use std::path::Path;

use peerstream_protocol::crypto::hash;
use peerstream_traits::compliance::{Action, Case, Decision};
use serde::{Deserialize, Serialize};

/// A line is no longer, in bytes.
pub const LINE_BYTES_MAX: u64 = 512 * 1024;

/// Something that happened to a case.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "what")]
pub enum Entry {
    /// It came in.
    Opened {
        /// The case.
        case: Case,
    },
    /// A handler has decided.
    Decided {
        /// The case's number.
        case: u64,
        /// Its revision.
        revision: u32,
        /// The handler's name in the config, and its origin.
        handler: String,
        /// What it decided.
        decision: Decision,
    },
    /// No handler has decided; it stays open.
    LeftOpen {
        /// The case's number.
        case: u64,
        /// Its revision.
        revision: u32,
        /// Why.
        why: String,
    },
    /// An action was carried out, or could not be.
    Acted {
        /// The case's number.
        case: u64,
        /// What was to be done.
        action: Action,
        /// Why it could not be done.
        error: Option<String>,
    },
}

#[derive(Serialize, Deserialize)]
struct Line {
    at_us: u64,
    /// The hash of the line before, 64 hexadecimal digits; zeros for the first.
    prev: String,
    #[serde(flatten)]
    entry: Entry,
}

/// The log of one host.
#[derive(Debug)]
pub struct CaseLog {
    file: File,
    end: u64,
    prev: String,
    next: u64,
}

/// What an earlier run has left.
#[derive(Debug, Default, PartialEq)]
pub struct Left {
    /// Cases on which nobody has decided, by number.
    pub open: BTreeMap<u64, Case>,
}

impl CaseLog {
    /// Opens a log or begins one. A last line that a crash has cut short is removed; any other damage is an error, for a log that
    /// was changed must not be written on.
    pub fn open(path: &Path) -> io::Result<(Self, Left)> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        file.try_lock().map_err(|_| io::Error::new(io::ErrorKind::ResourceBusy, "another host writes this log"))?;
        let mut log = Self { file, end: 0, prev: "0".repeat(64), next: 1 };
        let left = log.read()?;
        log.file.set_len(log.end)?;
        log.file.seek(SeekFrom::Start(log.end))?;
        Ok((log, left))
    }

    fn read(&mut self) -> io::Result<Left> {
        let mut reader = BufReader::new(self.file.try_clone()?);
        let (mut left, mut text, mut number) = (Left::default(), Vec::new(), 0);
        loop {
            text.clear();
            number += 1;
            io::Read::take(&mut reader, LINE_BYTES_MAX).read_until(b'\n', &mut text)?;
            if text.last() != Some(&b'\n') {
                return if text.len() as u64 == LINE_BYTES_MAX { Err(damaged(number)) } else { Ok(left) };
            }
            let line: Line = serde_json::from_slice(&text).map_err(|_| damaged(number))?;
            if line.prev != self.prev {
                return Err(damaged(number));
            }
            self.prev = hex(&hash(&text));
            self.end += text.len() as u64;
            self.take(line.entry, &mut left);
        }
    }

    fn take(&mut self, entry: Entry, left: &mut Left) {
        match entry {
            Entry::Opened { case } => {
                self.next = self.next.max(case.id + 1);
                left.open.insert(case.id, case);
            }
            Entry::Decided { case, .. } => drop(left.open.remove(&case)),
            Entry::LeftOpen { .. } | Entry::Acted { .. } => {}
        }
    }

    /// The number of the next case.
    pub fn next_case(&self) -> u64 {
        self.next
    }

    /// Adds an entry; it is on the disk when this returns. A failed one leaves no part behind.
    pub fn add(&mut self, at_us: u64, entry: Entry) -> io::Result<()> {
        if let Entry::Opened { case } = &entry {
            self.next = self.next.max(case.id + 1);
        }
        let line = Line { at_us, prev: self.prev.clone(), entry };
        let mut text = serde_json::to_vec(&line)?;
        text.push(b'\n');
        if let Err(error) = self.file.write_all(&text).and_then(|()| self.file.sync_data()) {
            self.file.set_len(self.end)?;
            self.file.seek(SeekFrom::Start(self.end))?;
            return Err(error);
        }
        self.end += text.len() as u64;
        self.prev = hex(&hash(&text));
        Ok(())
    }
}

fn damaged(line: u64) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("line {line} was changed or is damaged"))
}

fn hex(hash: &[u8; 32]) -> String {
    hash.iter().fold(String::with_capacity(64), |text, byte| text + &format!("{byte:02x}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugins::compliance::tests::notice;

    fn case(id: u64) -> Case {
        Case { id, revision: 1, opened_us: 7, stream: "ab".into(), epoch: 3, notice: notice() }
    }

    fn decided(case: u64) -> Entry {
        Entry::Decided { case, revision: 1, handler: "queue".into(), decision: Decision::Queue }
    }

    fn filled(path: &Path) {
        let (mut log, _) = CaseLog::open(path).unwrap();
        for id in 1..=3 {
            log.add(id, Entry::Opened { case: case(id) }).unwrap();
        }
        log.add(9, decided(2)).unwrap();
    }

    #[test]
    fn a_log_goes_on_where_it_was_and_knows_what_is_open() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cases.jsonl");
        filled(&path);
        let (log, left) = CaseLog::open(&path).unwrap();
        assert_eq!(left.open.keys().copied().collect::<Vec<_>>(), [1, 3]);
        assert_eq!(log.next_case(), 4);
    }

    #[test]
    fn a_line_that_a_crash_cut_short_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cases.jsonl");
        filled(&path);
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, &whole[..whole.len() - 10]).unwrap();
        let (mut log, left) = CaseLog::open(&path).unwrap();
        assert_eq!(left.open.len(), 3);
        log.add(9, decided(2)).unwrap();
        drop(log);
        assert_eq!(std::fs::read(&path).unwrap(), whole);
    }

    #[test]
    fn a_log_that_was_changed_is_not_written_on() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cases.jsonl");
        filled(&path);
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, text.replacen("\"epoch\":3", "\"epoch\":4", 1)).unwrap();
        assert!(CaseLog::open(&path).unwrap_err().to_string().contains("line 2"));
    }
}
