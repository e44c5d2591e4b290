//! The files of cases: copies of works that claimants send, and evidence bundles. A file is named by the hash of its bytes.
//!
//! Beside `cases/NUMBER/HASH` there are uploads under way, `uploads/DRAFT.PART`. What a crash has left of a file that was being made is
//! removed at the next start.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};

use peerstream_takedown::hex::Digest;
use peerstream_takedown::ledger;

use super::refused::Refused;

/// Bytes of an upload that come at once, at most.
pub const CHUNK_BYTES_MAX: usize = 1 << 20;
/// Files, at most; beyond it no more are taken.
pub const FILES_MAX: u64 = 100_000;

/// For what there must be room. Each may fill another part of what all files may take, so that strangers who send much leave room for the evidence
/// of those who have shown who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Room {
    /// What somebody sends: half.
    Upload,
    /// Evidence for somebody whom nobody has confirmed: three quarters.
    Unconfirmed,
    /// Evidence for somebody who was: all.
    Confirmed,
}

impl Room {
    const fn share(self, whole: u64) -> u64 {
        let quarter = whole / 4;
        match self {
            Self::Upload => 2 * quarter,
            Self::Unconfirmed => 3 * quarter,
            Self::Confirmed => whole,
        }
    }
}

/// What an upload is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// A copy of the work.
    Copy,
    /// An evidence bundle from a viewer's buffer.
    Bundle,
}

impl Part {
    const ALL: [Self; 2] = [Self::Copy, Self::Bundle];

    const fn word(self) -> &'static str {
        match self {
            Self::Copy => "copy",
            Self::Bundle => "bundle",
        }
    }
}

/// The files of one host.
#[derive(Debug)]
pub(super) struct Files {
    folder: PathBuf,
    bytes_max: u64,
    bytes: u64,
    count: u64,
}

impl Files {
    /// Opens a folder, which is created for its owner alone when it is not there.
    pub(super) fn open(folder: &Path, bytes_max: u64) -> io::Result<Self> {
        for name in ["uploads", "cases"] {
            create(&folder.join(name))?;
        }
        let mut files = Self { folder: folder.to_owned(), bytes_max, bytes: 0, count: 0 };
        files.count_folder(&folder.join("uploads"))?;
        for case in fs::read_dir(folder.join("cases"))? {
            files.count_folder(&case?.path())?;
        }
        Ok(files)
    }

    fn count_folder(&mut self, folder: &Path) -> io::Result<()> {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            if entry.path().extension().is_some_and(|it| it == "new") {
                fs::remove_file(entry.path())?;
                continue;
            }
            self.bytes += entry.metadata()?.len();
            self.count += 1;
        }
        Ok(())
    }

    fn upload_path(&self, draft: &str, part: Part) -> PathBuf {
        self.folder.join("uploads").join(format!("{draft}.{}", part.word()))
    }

    /// The folder of a case.
    fn case_folder(&self, case: u64) -> PathBuf {
        self.folder.join("cases").join(case.to_string())
    }

    /// Where a file of a case is.
    pub(super) fn path(&self, case: u64, file: &ledger::File) -> PathBuf {
        self.case_folder(case).join(file.blake3.to_string())
    }

    /// How much of an upload has come.
    pub(super) fn uploaded(&self, draft: &str, part: Part) -> u64 {
        fs::metadata(self.upload_path(draft, part)).map_or(0, |file| file.len())
    }

    /// Takes the next bytes of an upload.
    pub(super) fn append(
        &mut self,
        draft: &str,
        part: Part,
        offset: u64,
        bytes: &[u8],
        max: u64,
    ) -> Result<u64, Refused> {
        let so_far = self.uploaded(draft, part);
        if offset != so_far {
            return Err(Refused::Offset(so_far));
        }
        let end = so_far + bytes.len() as u64;
        if end > max {
            return Err(Refused::TooLarge(max));
        }
        let is_new = so_far == 0;
        self.room(bytes.len() as u64, is_new, Room::Upload)?;
        let path = self.upload_path(draft, part);
        let mut file = OpenOptions::new().create(true).append(true).open(&path)?;
        if let Err(error) = file.write_all(bytes) {
            // No part of a chunk stays: it is sent again.
            file.set_len(so_far)?;
            return Err(error.into());
        }
        self.bytes += bytes.len() as u64;
        self.count += u64::from(is_new);
        Ok(end)
    }

    /// Whether there is room for so many bytes more.
    fn room(&self, bytes: u64, is_new: bool, room: Room) -> Result<(), Refused> {
        let has_place = self.count + u64::from(is_new) <= room.share(FILES_MAX);
        if has_place && bytes <= self.left(room) { Ok(()) } else { Err(Refused::Busy) }
    }

    /// Bytes that one more file can have.
    pub(super) fn left(&self, room: Room) -> u64 {
        let has_place = self.count < room.share(FILES_MAX);
        if has_place { room.share(self.bytes_max).saturating_sub(self.bytes) } else { 0 }
    }

    /// Deletes an upload.
    pub(super) fn discard(&mut self, draft: &str, part: Part) -> io::Result<()> {
        self.remove(&self.upload_path(draft, part))
    }

    /// Deletes all uploads of a draft.
    pub(super) fn forget(&mut self, draft: &str) -> io::Result<()> {
        Part::ALL.into_iter().try_for_each(|part| self.discard(draft, part))
    }

    /// Makes an upload a file of a case; none if there is no upload.
    pub(super) fn take_upload(&mut self, draft: &str, part: Part, case: u64) -> io::Result<Option<ledger::File>> {
        let path = self.upload_path(draft, part);
        if !path.exists() {
            return Ok(None);
        }
        let file = self.keep(&path, case)?;
        self.count -= 1;
        self.bytes -= file.bytes;
        Ok(Some(file))
    }

    /// Where a file of a case can be made; see [`Self::keep`].
    pub(super) fn draft_of(&self, case: u64, name: &str) -> io::Result<PathBuf> {
        create(&self.case_folder(case))?;
        Ok(self.case_folder(case).join(format!("{name}.new")))
    }

    /// Makes a finished file one of a case.
    pub(super) fn keep(&mut self, path: &Path, case: u64) -> io::Result<ledger::File> {
        let folder = self.case_folder(case);
        create(&folder)?;
        let mut file = File::open(path)?;
        let file = hashed(&mut file)?;
        File::open(path)?.sync_all()?;
        let kept = self.path(case, &file);
        let is_new = !kept.exists();
        fs::rename(path, &kept)?;
        File::open(&folder)?.sync_all()?;
        if is_new {
            self.bytes += file.bytes;
            self.count += 1;
        }
        Ok(file)
    }

    /// Deletes all files of a case.
    pub(super) fn erase(&mut self, case: u64) -> io::Result<()> {
        let folder = self.case_folder(case);
        let entries = match fs::read_dir(&folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            entries => entries?,
        };
        for entry in entries {
            self.remove(&entry?.path())?;
        }
        fs::remove_dir(&folder)
    }

    fn remove(&mut self, path: &Path) -> io::Result<()> {
        let Ok(metadata) = fs::metadata(path) else { return Ok(()) };
        fs::remove_file(path)?;
        self.bytes = self.bytes.saturating_sub(metadata.len());
        self.count = self.count.saturating_sub(1);
        Ok(())
    }
}

/// For its owner alone: the files are of those who complain.
fn create(folder: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

fn hashed(file: &mut File) -> io::Result<ledger::File> {
    file.rewind()?;
    let (mut hasher, mut buffer, mut bytes) = (blake3::Hasher::new(), vec![0; 256 * 1024], 0);
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(ledger::File { blake3: Digest(*hasher.finalize().as_bytes()), bytes }),
            count => {
                hasher.update(&buffer[..count]);
                bytes += count as u64;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(folder: &Path) -> Files {
        Files::open(folder, 200).unwrap()
    }

    #[test]
    fn an_upload_comes_in_pieces_and_becomes_a_file_named_by_its_hash() {
        let folder = tempfile::tempdir().unwrap();
        let mut it = files(folder.path());
        assert_eq!(it.append("d", Part::Copy, 0, b"hello ", 100).unwrap(), 6);
        assert!(matches!(it.append("d", Part::Copy, 0, b"hello ", 100), Err(Refused::Offset(6))));
        assert_eq!(it.append("d", Part::Copy, 6, b"world", 100).unwrap(), 11);
        let file = it.take_upload("d", Part::Copy, 7).unwrap().unwrap();
        assert_eq!((file.bytes, file.blake3.0), (11, *blake3::hash(b"hello world").as_bytes()));
        assert_eq!(fs::read(it.path(7, &file)).unwrap(), b"hello world");
        assert_eq!((it.bytes, it.count), (11, 1));
        assert_eq!((files(folder.path()).bytes, files(folder.path()).count), (11, 1));
        it.erase(7).unwrap();
        it.erase(7).unwrap();
        assert_eq!((it.bytes, it.count), (0, 0));
    }

    #[test]
    fn bounds_hold_for_one_file_and_for_all() {
        let folder = tempfile::tempdir().unwrap();
        let mut it = files(folder.path());
        assert!(matches!(it.append("a", Part::Copy, 0, &[0; 60], 50), Err(Refused::TooLarge(50))));
        it.append("a", Part::Copy, 0, &[0; 60], 60).unwrap();
        assert!(matches!(it.append("b", Part::Copy, 0, &[0; 60], 60), Err(Refused::Busy)));
        it.forget("a").unwrap();
        it.append("b", Part::Copy, 0, &[0; 60], 60).unwrap();
    }

    #[test]
    fn strangers_who_fill_their_part_leave_room_for_evidence() {
        let folder = tempfile::tempdir().unwrap();
        let mut it = files(folder.path());
        it.append("a", Part::Copy, 0, &[0; 100], 100).unwrap();
        assert!(matches!(it.append("b", Part::Copy, 0, &[0; 1], 100), Err(Refused::Busy)));
        assert_eq!([Room::Upload, Room::Unconfirmed, Room::Confirmed].map(|room| it.left(room)), [0, 50, 100]);
        it.count = FILES_MAX / 2;
        assert_eq!([Room::Upload, Room::Unconfirmed, Room::Confirmed].map(|room| it.left(room)), [0, 50, 100]);
        it.count = FILES_MAX;
        assert_eq!([Room::Upload, Room::Unconfirmed, Room::Confirmed].map(|room| it.left(room)), [0, 0, 0]);
    }

    #[test]
    fn what_a_crash_has_left_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let it = files(folder.path());
        fs::write(it.draft_of(3, "bundle").unwrap(), b"half").unwrap();
        let it = files(folder.path());
        assert_eq!((it.bytes, it.count), (0, 0));
    }
}
