//! A file of lines that is turned over when it is full.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// How much is looked at to find the end of the last whole line, in bytes.
const TAIL: u64 = 64 * 1024;

/// The file that is written now.
#[derive(Debug)]
pub(crate) struct Lines {
    path: PathBuf,
    file: File,
    bytes: u64,
    bytes_max: u64,
    old_files_max: u32,
}

impl Lines {
    pub(crate) fn open(path: &Path, bytes_max: u64, old_files_max: u32) -> io::Result<Self> {
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        let bytes = whole_lines(&mut file)?;
        file.set_len(bytes)?;
        file.seek(SeekFrom::End(0))?;
        Ok(Self { path: path.to_owned(), file, bytes, bytes_max, old_files_max })
    }

    /// Adds whole lines; all of them or none.
    pub(crate) fn add(&mut self, lines: &[u8]) -> io::Result<()> {
        if self.bytes > 0 && self.bytes + lines.len() as u64 > self.bytes_max {
            self.turn_over()?;
        }
        if let Err(error) = self.file.write_all(lines) {
            self.file.set_len(self.bytes)?;
            self.file.seek(SeekFrom::Start(self.bytes))?;
            return Err(error);
        }
        self.bytes += lines.len() as u64;
        Ok(())
    }

    pub(crate) fn flush(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn turn_over(&mut self) -> io::Result<()> {
        self.file.sync_data()?;
        for number in (1..self.old_files_max).rev() {
            rename_if_there(&self.old(number), &self.old(number + 1))?;
        }
        if self.old_files_max > 0 {
            rename_if_there(&self.path, &self.old(1))?;
            self.file = OpenOptions::new().read(true).write(true).create_new(true).open(&self.path)?;
        } else {
            self.file.set_len(0)?;
            self.file.seek(SeekFrom::Start(0))?;
        }
        self.bytes = 0;
        Ok(())
    }

    fn old(&self, number: u32) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(format!(".{number}"));
        name.into()
    }
}

fn rename_if_there(from: &Path, to: &Path) -> io::Result<()> {
    match std::fs::rename(from, to) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

/// Bytes up to the end of the last whole line.
fn whole_lines(file: &mut File) -> io::Result<u64> {
    let len = file.metadata()?.len();
    let from = len.saturating_sub(TAIL);
    file.seek(SeekFrom::Start(from))?;
    let mut tail = Vec::new();
    file.take(TAIL).read_to_end(&mut tail)?;
    let end = tail.iter().rposition(|byte| *byte == b'\n').map(|at| from + at as u64 + 1);
    // A tail without any end of line is no file of ours, or one very long line: it is left as it is.
    Ok(end.unwrap_or(if from == 0 { 0 } else { len }))
}
