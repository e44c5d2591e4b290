//! The file of entries: appended to, read, and healed after a crash.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::thread;
use std::time::Duration;

use crate::entry::{HEAD_BYTES, Head};

/// A lock that is held is asked for so many times more, after this pause each: a child process that is just being started has a
/// copy of every open file until it runs its own program, and with it of a lock that was given back since.
const LOCK_TRIES: u32 = 20;
const LOCK_PAUSE: Duration = Duration::from_millis(10);

/// The data of one recording. One process at a time has it open.
#[derive(Debug)]
pub(crate) struct Data {
    file: File,
    len: u64,
}

impl Data {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        lock(&file)?;
        let len = file.metadata()?.len();
        Ok(Self { file, len })
    }

    /// Only to read, beside whoever writes.
    pub(crate) fn open_to_read(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let len = file.metadata()?.len();
        Ok(Self { file, len })
    }

    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// Appends an entry and gives where it is. One that fails leaves nothing behind.
    pub(crate) fn append(&mut self, head: &Head, body: &[u8], sync: bool) -> io::Result<u64> {
        let at = self.len;
        let written = self.file.write_all_at(&[&head.encode()[..], body].concat(), at);
        if let Err(error) = written.and_then(|()| if sync { self.file.sync_data() } else { Ok(()) }) {
            self.file.set_len(at)?;
            return Err(error);
        }
        self.len += head.entry_len();
        Ok(at)
    }

    /// The head of the entry here; nothing when there is none.
    pub(crate) fn head(&self, at: u64) -> io::Result<Option<Head>> {
        if at + HEAD_BYTES as u64 > self.len {
            return Ok(None);
        }
        let mut bytes = [0; HEAD_BYTES];
        self.file.read_exact_at(&mut bytes, at)?;
        Ok(Head::decode(&bytes).filter(|head| at + head.entry_len() <= self.len))
    }

    pub(crate) fn body(&self, at: u64, head: &Head) -> io::Result<Vec<u8>> {
        let mut body = vec![0; head.body_len() as usize];
        self.file.read_exact_at(&mut body, at + HEAD_BYTES as u64)?;
        Ok(body)
    }

    /// Writes zeros over the payload of an entry.
    pub(crate) fn erase(&self, at: u64, head: &Head) -> io::Result<()> {
        static ZEROS: [u8; 64 * 1024] = [0; 64 * 1024];
        let mut at = at + HEAD_BYTES as u64 + u64::from(head.header_len);
        let mut left = head.payload_len as usize;
        while left > 0 {
            let count = left.min(ZEROS.len());
            self.file.write_all_at(&ZEROS[..count], at)?;
            (at, left) = (at + count as u64, left - count);
        }
        Ok(())
    }

    pub(crate) fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    /// Removes all from here on.
    pub(crate) fn cut(&mut self, at: u64) -> io::Result<()> {
        self.file.set_len(at)?;
        self.len = at;
        Ok(())
    }
}

fn lock(file: &File) -> io::Result<()> {
    let mut free = file.try_lock();
    for _ in 0..LOCK_TRIES {
        if free.is_ok() {
            break;
        }
        thread::sleep(LOCK_PAUSE);
        free = file.try_lock();
    }
    free.map_err(|_| io::Error::new(ErrorKind::ResourceBusy, "another process writes this recording"))
}
