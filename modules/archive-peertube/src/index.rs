//! What is in a part that is being written: a record of fixed size for each segment, written after the segment itself.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;

use peerstream_sdk::protocol::crypto::Hash;

const RECORD_BYTES: usize = 64;

/// One segment of a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) seq: u64,
    /// Where the file ends after it.
    pub(crate) end: u64,
    /// Its time on the stream's clock, microseconds.
    pub(crate) pts_us: u64,
    pub(crate) duration_us: u32,
    /// How many bytes of the part's beginning are the codec header; the same in all records.
    pub(crate) init_len: u32,
    /// Of its signed header as it travels.
    pub(crate) hash: Hash,
}

impl Record {
    fn encode(&self) -> [u8; RECORD_BYTES] {
        let mut bytes = [0; RECORD_BYTES];
        bytes[..8].copy_from_slice(&self.seq.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.end.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.pts_us.to_le_bytes());
        bytes[24..28].copy_from_slice(&self.duration_us.to_le_bytes());
        bytes[28..32].copy_from_slice(&self.init_len.to_le_bytes());
        bytes[32..].copy_from_slice(&self.hash);
        bytes
    }

    fn decode(bytes: &[u8; RECORD_BYTES]) -> Self {
        let word = |at: usize| u64::from_le_bytes(std::array::from_fn(|n| bytes[at + n]));
        let half = |at: usize| u32::from_le_bytes(std::array::from_fn(|n| bytes[at + n]));
        let hash = std::array::from_fn(|n| bytes[32 + n]);
        Self { seq: word(0), end: word(8), pts_us: word(16), duration_us: half(24), init_len: half(28), hash }
    }
}

/// The records of a part.
#[derive(Debug)]
pub(crate) struct Index {
    file: File,
    len: u64,
}

impl Index {
    /// Opens it, after calling `each` with every whole record whose segment is within `media_len` bytes; what follows the
    /// last of them is cut off.
    pub(crate) fn open(path: &Path, media_len: u64, mut each: impl FnMut(Record)) -> io::Result<Self> {
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        let mut reader = io::BufReader::new(&mut file);
        let (mut len, mut last_end, mut bytes) = (0, 0, [0; RECORD_BYTES]);
        while reader.read_exact(&mut bytes).is_ok() {
            let record = Record::decode(&bytes);
            if record.end > media_len || record.end < last_end {
                break;
            }
            last_end = record.end;
            len += RECORD_BYTES as u64;
            each(record);
        }
        file.set_len(len)?;
        Ok(Self { file, len })
    }

    /// Adds a record, or nothing of it; it is on the disk when this returns.
    pub(crate) fn add(&mut self, record: &Record) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(self.len))?;
        let written = self.file.write_all(&record.encode()).and_then(|()| self.file.sync_data());
        match written {
            Ok(()) => self.len += RECORD_BYTES as u64,
            Err(_) => drop(self.file.set_len(self.len)),
        }
        written
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_crash_has_left_of_a_record_or_of_its_segment_is_cut_off() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("0001.idx");
        let record = |seq: u64| Record {
            seq,
            end: 100 + seq * 10,
            pts_us: seq << 40,
            duration_us: 7,
            init_len: 50,
            hash: [seq as u8; 32],
        };
        let mut index = Index::open(&path, 0, |_| unreachable!()).unwrap();
        (0..5).for_each(|seq| index.add(&record(seq)).unwrap());
        let mut torn = std::fs::read(&path).unwrap();
        torn.truncate(torn.len() - 9);
        std::fs::write(&path, torn).unwrap();
        let mut found = Vec::new();
        let mut index = Index::open(&path, 125, |record| found.push(record)).unwrap();
        assert_eq!(found, [record(0), record(1), record(2)], "the fourth one's segment is not there as a whole");
        index.add(&record(3)).unwrap();
        found.clear();
        Index::open(&path, 1_000, |record| found.push(record)).unwrap();
        assert_eq!(found.iter().map(|record| record.seq).collect::<Vec<_>>(), [0, 1, 2, 3]);
    }
}
