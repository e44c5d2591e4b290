//! A block that is being written, and what is left of one after a crash.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use bytes::{Bytes, BytesMut};
use peerstream_sdk::traits::archive::Segment;

use crate::document;
use crate::entry::{self, Entry, HEAD_BYTES, Head};

/// The ending of the block that is being written.
pub(crate) const OPEN: &str = "open";
/// The ending of one that waits for the courier.
pub(crate) const CLOSED: &str = "block";

/// The name of a block's file.
pub(crate) fn path(folder: &Path, first: u64, ending: &str) -> PathBuf {
    folder.join(format!("{first:020}.{ending}"))
}

/// The blocks of this ending in a folder, by their first numbers, in order.
pub(crate) fn list(folder: &Path, ending: &str) -> io::Result<Vec<u64>> {
    let mut found = Vec::new();
    for file in std::fs::read_dir(folder)? {
        let path = file?.path();
        if path.extension().is_some_and(|extension| extension == ending) {
            found.extend(path.file_stem().and_then(|stem| stem.to_str()).and_then(|stem| stem.parse::<u64>().ok()));
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// A block that is being written.
#[derive(Debug)]
pub(crate) struct Block {
    file: File,
    folder: PathBuf,
    pub(crate) first: u64,
    pub(crate) len: u64,
    /// When its first segment was complete, by the source's clock.
    pub(crate) began_us: u64,
}

impl Block {
    pub(crate) fn create(folder: &Path, first: u64, began_us: u64) -> io::Result<Self> {
        let path = path(folder, first, OPEN);
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path)?;
        document::sync_folder(folder)?;
        Ok(Self { file, folder: folder.to_owned(), first, len: 0, began_us })
    }

    /// Appends an entry and gives where it is. One that fails leaves nothing behind.
    pub(crate) fn append(&mut self, head: &Head, segment: &Segment, sync: bool) -> io::Result<u32> {
        let at = u32::try_from(self.len).map_err(|_| io::Error::other("a block of 4 GiB"))?;
        let bytes = [&head.encode()[..], &segment.encoded, &segment.payload].concat();
        let written = self.file.write_all_at(&bytes, self.len);
        if let Err(error) = written.and_then(|()| if sync { self.file.sync_data() } else { Ok(()) }) {
            self.cut(self.len)?;
            return Err(error);
        }
        self.len += bytes.len() as u64;
        Ok(at)
    }

    /// Removes all from here on.
    pub(crate) fn cut(&mut self, len: u64) -> io::Result<()> {
        self.file.set_len(len)?;
        self.len = len;
        Ok(())
    }

    /// All of it is on the disk, and waits for the courier.
    pub(crate) fn close(&self) -> io::Result<()> {
        self.file.sync_data()?;
        close(&self.folder, self.first)
    }
}

/// A block that is not written any more waits for the courier.
pub(crate) fn close(folder: &Path, first: u64) -> io::Result<()> {
    std::fs::rename(path(folder, first, OPEN), path(folder, first, CLOSED))?;
    document::sync_folder(folder)
}

/// Hands over the whole entries of a block's file in order, each with where it is. Gives where the last one ends and how long the file is; an
/// entry whose payload was erased counts as whole.
pub(crate) fn scan(
    path: &Path,
    is_erased: impl Fn(u64) -> bool,
    mut take: impl FnMut(u32, &Entry) -> io::Result<()>,
) -> io::Result<(u64, u64)> {
    let file = File::open(path)?;
    let len = file.metadata()?.len();
    let mut reader = io::BufReader::with_capacity(1 << 20, file);
    let mut at = 0;
    while let Some(entry) = next(&mut reader, len - at)? {
        if !entry.whole && !is_erased(entry.head.seq) {
            break;
        }
        take(u32::try_from(at).map_err(|_| io::Error::other("a block of 4 GiB"))?, &entry)?;
        at += entry.head.entry_len();
    }
    Ok((at, len))
}

fn next(reader: &mut impl Read, left: u64) -> io::Result<Option<Entry>> {
    if left < HEAD_BYTES as u64 {
        return Ok(None);
    }
    let mut bytes = BytesMut::zeroed(HEAD_BYTES);
    reader.read_exact(&mut bytes)?;
    let Some(head) = bytes.first_chunk().and_then(Head::decode).filter(|head| head.entry_len() <= left) else {
        return Ok(None);
    };
    bytes.resize(head.entry_len() as usize, 0);
    reader.read_exact(&mut bytes[HEAD_BYTES..])?;
    Ok(entry::read(&bytes.freeze()))
}

/// The bytes of one entry, from a block's file; nothing when there is no such file.
pub(crate) fn read(folder: &Path, first: u64, at: u32, len: u64) -> io::Result<Option<Bytes>> {
    // The block may be closed between two looks.
    for ending in [OPEN, CLOSED, OPEN] {
        let file = match File::open(path(folder, first, ending)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            file => file?,
        };
        let mut bytes = vec![0; len as usize];
        file.read_exact_at(&mut bytes, u64::from(at))?;
        return Ok(Some(bytes.into()));
    }
    Ok(None)
}

/// Writes zeros over the payloads of these numbers, in a block's file.
pub(crate) fn erase(path: &Path, is_erased: impl Fn(u64) -> bool) -> io::Result<()> {
    let file = OpenOptions::new().read(true).write(true).open(path)?;
    let mut wiped = Vec::new();
    scan(path, &is_erased, |at, entry| {
        if is_erased(entry.head.seq) {
            wiped.push((at, entry.head));
        }
        Ok(())
    })?;
    for (at, head) in wiped {
        let from = u64::from(at) + HEAD_BYTES as u64 + u64::from(head.header_len);
        file.write_all_at(&vec![0; head.payload_len as usize], from)?;
    }
    file.sync_data()
}

/// The same in bytes; those of a whole block.
pub(crate) fn erase_bytes(bytes: &mut [u8], is_erased: impl Fn(u64) -> bool) {
    let mut at = 0;
    while let Some(head) = bytes.get(at..).and_then(|rest| rest.first_chunk()).and_then(Head::decode) {
        let payload = at + HEAD_BYTES + head.header_len as usize;
        let end = payload + head.payload_len as usize;
        if is_erased(head.seq)
            && let Some(payload) = bytes.get_mut(payload..end)
        {
            payload.fill(0);
        }
        at = end;
    }
}
