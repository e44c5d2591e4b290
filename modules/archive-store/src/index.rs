//! Where each segment is: records of fixed size, in the order of numbers. The file is a help, not the truth: what it lacks is read from the
//! blocks.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

use bytes::Bytes;
use peerstream_sdk::traits::archive::{LINE_BYTES, Line};

use crate::entry::{Entry, HEAD_BYTES, Sum, sum};

/// Bytes of a record.
pub(crate) const RECORD_BYTES: usize = LINE_BYTES + 8 + 4 + 4 + 1 + 8 + 4;
/// Records that are read at once.
const CHUNK: usize = 8_192;

/// Where a segment is, and what a list says of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) line: Line,
    /// Its block, by that one's first number.
    pub(crate) block: u64,
    /// Where its entry begins in the block.
    pub(crate) at: u32,
    pub(crate) header_len: u32,
    pub(crate) follows_gap: bool,
    pub(crate) header_sum: Sum,
}

impl Record {
    pub(crate) fn of(entry: &Entry, block: u64, at: u32) -> Self {
        let head = &entry.head;
        Self {
            line: Line::of(&entry.header, false),
            block,
            at,
            header_len: head.header_len,
            follows_gap: head.follows_gap,
            header_sum: head.header_sum,
        }
    }

    pub(crate) fn seq(&self) -> u64 {
        self.line.seq.0
    }

    pub(crate) fn entry_len(&self) -> u64 {
        HEAD_BYTES as u64 + u64::from(self.header_len) + u64::from(self.line.payload_len)
    }

    pub(crate) fn encode(&self) -> [u8; RECORD_BYTES] {
        let mut bytes = [0; RECORD_BYTES];
        let (line, rest) = bytes.split_at_mut(LINE_BYTES);
        line.copy_from_slice(&self.line.encode());
        rest[..8].copy_from_slice(&self.block.to_le_bytes());
        rest[8..12].copy_from_slice(&self.at.to_le_bytes());
        rest[12..16].copy_from_slice(&self.header_len.to_le_bytes());
        rest[16] = self.follows_gap.into();
        rest[17..25].copy_from_slice(&self.header_sum);
        let check = sum(&[&bytes[..RECORD_BYTES - 4]]);
        bytes[RECORD_BYTES - 4..].copy_from_slice(&check[..4]);
        bytes
    }

    /// Reads a record without a look at its checksum, see [`Self::is_whole`].
    pub(crate) fn decode(bytes: &[u8; RECORD_BYTES]) -> Self {
        let (line, rest) = bytes.split_first_chunk::<LINE_BYTES>().expect("a record begins with a line");
        Self {
            line: Line::decode(line),
            block: u64::from_le_bytes(rest[..8].try_into().expect("8 bytes")),
            at: u32::from_le_bytes(rest[8..12].try_into().expect("4 bytes")),
            header_len: u32::from_le_bytes(rest[12..16].try_into().expect("4 bytes")),
            follows_gap: rest[16] == 1,
            header_sum: rest[17..25].try_into().expect("8 bytes"),
        }
    }

    fn is_whole(bytes: &[u8; RECORD_BYTES]) -> bool {
        sum(&[&bytes[..RECORD_BYTES - 4]])[..4] == bytes[RECORD_BYTES - 4..]
    }
}

/// All records of a recording. None are held in memory when they are in a file.
#[derive(Debug)]
pub(crate) struct Index {
    source: Source,
    count: usize,
}

#[derive(Debug)]
enum Source {
    File(File),
    Memory(Bytes),
}

impl Index {
    /// To write, created when it is not there. Records that a power failure has left damaged at the end are cut off.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        let mut index = Self::from_file(file)?;
        let mut bytes = [0; RECORD_BYTES];
        while index.count > 0 {
            index.read_at(&mut bytes, index.count - 1)?;
            if Record::is_whole(&bytes) {
                break;
            }
            index.count -= 1;
        }
        index.truncate(index.count)?;
        Ok(index)
    }

    /// Only to read, beside whoever writes; nothing when there is no file.
    pub(crate) fn open_to_read(path: &Path) -> io::Result<Option<Self>> {
        match File::open(path) {
            Ok(file) => Self::from_file(file).map(Some),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn from_file(file: File) -> io::Result<Self> {
        let count = (file.metadata()?.len() / RECORD_BYTES as u64) as usize;
        Ok(Self { source: Source::File(file), count })
    }

    /// Of records that came from the backend.
    pub(crate) fn in_memory(bytes: Bytes) -> Self {
        let count = bytes.len() / RECORD_BYTES;
        Self { source: Source::Memory(bytes), count }
    }

    pub(crate) fn len(&self) -> usize {
        self.count
    }

    pub(crate) fn record(&self, at: usize) -> io::Result<Record> {
        let mut bytes = [0; RECORD_BYTES];
        self.read_at(&mut bytes, at)?;
        Ok(Record::decode(&bytes))
    }

    pub(crate) fn last(&self) -> io::Result<Option<Record>> {
        self.count.checked_sub(1).map(|at| self.record(at)).transpose()
    }

    /// How many records there are for which this holds, of an index in which it holds for the first ones and not for the rest.
    pub(crate) fn partition(&self, holds: impl Fn(&Record) -> bool) -> io::Result<usize> {
        let (mut low, mut high) = (0, self.count);
        while low < high {
            let middle = low.midpoint(high);
            if holds(&self.record(middle)?) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Ok(low)
    }

    pub(crate) fn find(&self, seq: u64) -> io::Result<Option<Record>> {
        let at = self.partition(|record| record.seq() < seq)?;
        if at == self.count {
            return Ok(None);
        }
        Ok(Some(self.record(at)?).filter(|record| record.seq() == seq))
    }

    /// Hands over records in order, from one on, until it is told to stop.
    pub(crate) fn each(&self, from: usize, mut take: impl FnMut(Record) -> bool) -> io::Result<()> {
        let mut buffer = vec![0; CHUNK * RECORD_BYTES];
        let mut at = from;
        while at < self.count {
            let records = (self.count - at).min(CHUNK);
            let bytes = &mut buffer[..records * RECORD_BYTES];
            self.read_at(bytes, at)?;
            for record in bytes.as_chunks::<RECORD_BYTES>().0 {
                if !take(Record::decode(record)) {
                    return Ok(());
                }
            }
            at += records;
        }
        Ok(())
    }

    /// One that fails leaves nothing behind.
    pub(crate) fn append(&mut self, record: &Record) -> io::Result<()> {
        let at = (self.count * RECORD_BYTES) as u64;
        let file = self.file()?;
        if let Err(error) = file.write_all_at(&record.encode(), at) {
            let _ = file.set_len(at);
            return Err(error);
        }
        self.count += 1;
        Ok(())
    }

    pub(crate) fn truncate(&mut self, count: usize) -> io::Result<()> {
        self.file()?.set_len((count * RECORD_BYTES) as u64)?;
        self.count = count;
        Ok(())
    }

    /// Another file in the place of this one, without its first records. Who reads the old one goes on reading it.
    pub(crate) fn without(&self, first: usize, path: &Path) -> io::Result<Self> {
        let new = crate::document::beside(path, "new");
        let mut file = io::BufWriter::new(File::create(&new)?);
        let mut written = Ok(());
        self.each(first, |record| {
            written = file.write_all(&record.encode());
            written.is_ok()
        })?;
        written?;
        file.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
        std::fs::rename(&new, path)?;
        Self::open(path)
    }

    pub(crate) fn sync(&self) -> io::Result<()> {
        self.file()?.sync_data()
    }

    fn file(&self) -> io::Result<&File> {
        match &self.source {
            Source::File(file) => Ok(file),
            Source::Memory(_) => Err(io::Error::other("an index in memory is only read")),
        }
    }

    fn read_at(&self, bytes: &mut [u8], at: usize) -> io::Result<()> {
        let at = at * RECORD_BYTES;
        match &self.source {
            Source::File(file) => file.read_exact_at(bytes, at as u64),
            Source::Memory(all) => {
                bytes.copy_from_slice(&all[at..at + bytes.len()]);
                Ok(())
            }
        }
    }
}
