//! The file that is written.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::config::Sync;

/// Names are tried up to this number.
const NUMBER_MAX: u32 = 10_000;
/// A box's length and name.
const BOX_HEADER: u64 = 8;
/// A box that players skip.
const FREE: &[u8; 4] = b"free";
/// The box with which fragments end.
const MEDIA: &[u8; 4] = b"mdat";

/// Writes media to a file, and to the next one when the codec changes.
#[derive(Debug)]
pub struct Tape {
    path: PathBuf,
    sync: Sync,
    /// Names the recording in its MP4 files, so that a later process goes on with them.
    recording: Option<String>,
    /// The codec header of what comes next, and whether it is MP4.
    init: Option<(Vec<u8>, bool)>,
    open: Option<Open>,
}

/// A file that is written.
#[derive(Debug)]
struct Open {
    file: File,
    path: PathBuf,
    /// All before it is clean.
    end: u64,
    is_mp4: bool,
}

impl Tape {
    /// Nothing is created before there is something to write.
    pub fn new(path: impl Into<PathBuf>, sync: Sync) -> Self {
        Self { path: path.into(), sync, recording: None, init: None, open: None }
    }

    /// What comes next does not continue what came before: it goes to the next file.
    pub fn begin(&mut self) {
        (self.recording, self.init, self.open) = (None, None, None);
    }

    /// The same, or it goes on in the last file, if that is an MP4 of this recording and codec that an earlier process has left.
    pub fn go_on_with(&mut self, recording: &str) {
        self.begin();
        self.recording = Some(recording.to_owned());
    }

    /// The codec header of what follows. Another one than before means the next file; whether it is.
    pub fn init(&mut self, bytes: &[u8], mime: &str) -> bool {
        if self.init.as_ref().is_some_and(|(known, _)| known == bytes) {
            return false;
        }
        let is_mp4 = mime.split(';').next().is_some_and(|kind| kind.trim().ends_with("/mp4"));
        (self.init, self.open) = (Some((bytes.to_owned(), is_mp4)), None);
        true
    }

    /// Writes a segment, or nothing of it. Gives the file if it is a new one.
    pub fn segment(&mut self, bytes: &[u8]) -> io::Result<Option<&Path>> {
        let is_new = self.open.is_none();
        if is_new {
            let (init, is_mp4) = self.init.as_ref().map_or((&[][..], false), |(init, is_mp4)| (init, *is_mp4));
            let mark = self.recording.as_ref().filter(|_| is_mp4).map(|recording| mark(recording));
            let begins = [init, mark.as_deref().unwrap_or_default()].concat();
            let left = if mark.is_some() { Open::resume(&self.path, &begins)? } else { None };
            self.open = Some(match left {
                Some(open) => open,
                None => Open::create(&self.path, &begins, is_mp4)?,
            });
        }
        let Some(open) = &mut self.open else { return Ok(None) };
        open.append(bytes)?;
        if self.sync == Sync::Each {
            open.file.sync_data()?;
        }
        Ok(is_new.then_some(open.path.as_path()))
    }

    /// Everything that was written is on the disk after this.
    pub fn finish(&mut self) -> io::Result<()> {
        self.open.as_ref().map_or(Ok(()), |open| open.file.sync_all())
    }
}

impl Open {
    /// The last file that is there, if it begins like this; what was cut short at its end goes.
    fn resume(path: &Path, begins: &[u8]) -> io::Result<Option<Self>> {
        let Some(path) = last_of(path) else { return Ok(None) };
        let mut file = OpenOptions::new().read(true).write(true).open(&path)?;
        let mut found = vec![0; begins.len()];
        if file.read_exact(&mut found).is_err() || found != begins {
            return Ok(None);
        }
        let end = clean_end(&mut file, begins.len() as u64)?;
        file.set_len(end)?;
        Ok(Some(Self { file, path, end, is_mp4: true }))
    }

    fn create(path: &Path, init: &[u8], is_mp4: bool) -> io::Result<Self> {
        let (mut file, path) = create_new(path)?;
        if let Err(error) = file.write_all(init) {
            // A file with half a header is no file.
            let _ = std::fs::remove_file(&path);
            return Err(error);
        }
        Ok(Self { file, path, end: init.len() as u64, is_mp4 })
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let written = if self.is_mp4 { self.append_boxed(bytes) } else { self.append_plain(bytes) };
        if let Err(error) = written {
            // What is half there goes; what cannot be taken away is inside a box that is skipped, and is written over.
            let _ = self.file.set_len(self.end);
            return Err(error);
        }
        Ok(())
    }

    fn append_plain(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(self.end))?;
        self.file.write_all(bytes)?;
        self.end += bytes.len() as u64;
        Ok(())
    }

    /// The box that holds the segment ends before it as soon as it is complete.
    fn append_boxed(&mut self, bytes: &[u8]) -> io::Result<()> {
        let whole = BOX_HEADER + bytes.len() as u64;
        let length = u32::try_from(whole).map_err(|_| io::Error::other("a segment of 4 GiB"))?;
        let mut framed = Vec::with_capacity(bytes.len() + BOX_HEADER as usize);
        framed.extend(length.to_be_bytes());
        framed.extend(FREE);
        framed.extend(bytes);
        self.file.seek(SeekFrom::Start(self.end))?;
        self.file.write_all(&framed)?;
        self.file.seek(SeekFrom::Start(self.end))?;
        self.file.write_all(&(BOX_HEADER as u32).to_be_bytes())?;
        self.end += whole;
        Ok(())
    }
}

/// The file of this name, or of the first free one with a number.
fn create_new(path: &Path) -> io::Result<(File, PathBuf)> {
    for number in 1..=NUMBER_MAX {
        let numbered = if number == 1 { path.to_owned() } else { numbered(path, number) };
        match OpenOptions::new().write(true).create_new(true).open(&numbered) {
            Ok(file) => return Ok((file, numbered)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::other(format!("{} and {NUMBER_MAX} more are there already", path.display())))
}

/// The last one of the files of this name that are there.
fn last_of(path: &Path) -> Option<PathBuf> {
    let named = |number| if number == 1 { path.to_owned() } else { numbered(path, number) };
    (1..=NUMBER_MAX).map(named).take_while(|path| path.is_file()).last()
}

/// A box that says of which recording a file is.
fn mark(recording: &str) -> Vec<u8> {
    let text = format!("PeerStream recording {recording}");
    let length = BOX_HEADER as u32 + text.len() as u32;
    [&length.to_be_bytes(), &FREE[..], text.as_bytes()].concat()
}

/// Where the last segment ends that is whole. Each begins with an empty box, which holds all of the segment while that is written, and ends
/// with media.
fn clean_end(file: &mut File, from: u64) -> io::Result<u64> {
    let len = file.metadata()?.len();
    let (mut at, mut segment, mut is_whole) = (from, from, true);
    while at + BOX_HEADER <= len {
        let mut header = [0; BOX_HEADER as usize];
        file.seek(SeekFrom::Start(at))?;
        file.read_exact(&mut header)?;
        let [a, b, c, d, name @ ..] = header;
        let length = u64::from(u32::from_be_bytes([a, b, c, d]));
        if &name == FREE {
            segment = at;
        }
        let is_half = &name == FREE && length != BOX_HEADER;
        if is_half || length < BOX_HEADER || at + length > len {
            return Ok(segment);
        }
        at += length;
        is_whole = &name == MEDIA;
    }
    Ok(if is_whole { at } else { segment })
}

fn numbered(path: &Path, number: u32) -> PathBuf {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let extension = path.extension().map(|extension| format!(".{}", extension.to_string_lossy())).unwrap_or_default();
    path.with_file_name(format!("{stem}-{number}{extension}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MP4: &str = "video/mp4; codecs=\"avc1.64001f\"";

    fn boxed(name: &[u8; 4], payload: &[u8]) -> Vec<u8> {
        [&(8 + payload.len() as u32).to_be_bytes()[..], name, payload].concat()
    }

    /// Names and lengths of the boxes of a file; what is cut off is `CUT`.
    fn boxes(bytes: &[u8]) -> Vec<(String, usize)> {
        let (mut found, mut rest) = (Vec::new(), bytes);
        while rest.len() >= 8 {
            let length = u32::from_be_bytes(rest[..4].try_into().unwrap()) as usize;
            found.push((String::from_utf8_lossy(&rest[4..8]).into_owned(), length));
            if length > rest.len() || length < 8 {
                found.push(("CUT".into(), rest.len()));
                return found;
            }
            rest = &rest[length..];
        }
        found
    }

    fn names(path: &Path) -> String {
        boxes(&std::fs::read(path).unwrap()).iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(" ")
    }

    fn fragment(fill: u8) -> Vec<u8> {
        [boxed(b"moof", &[fill; 20]), boxed(b"mdat", &[fill; 100])].concat()
    }

    #[test]
    fn a_file_is_the_header_and_whole_fragments() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("show.mp4");
        let mut tape = Tape::new(&path, Sync::System);
        tape.init(&boxed(b"moov", b"codec"), MP4);
        assert_eq!(tape.segment(&fragment(1)).unwrap(), Some(path.as_path()));
        assert_eq!(tape.segment(&fragment(2)).unwrap(), None);
        assert_eq!(names(&path), "moov free moof mdat free moof mdat");
    }

    #[test]
    fn wherever_writing_breaks_off_players_skip_what_is_half_there() {
        let (before, fragment) = (boxed(b"moov", b"codec"), fragment(1));
        let framed = boxed(b"free", &fragment);
        for cut in 8..framed.len() {
            let found = boxes(&[&before[..], &framed[..cut]].concat());
            assert!(found.iter().all(|(name, _)| matches!(name.as_str(), "moov" | "free" | "CUT")), "{cut}: {found:?}");
        }
    }

    #[test]
    fn another_codec_and_another_broadcast_go_to_the_next_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let mut tape = Tape::new(path("show.mp4"), Sync::System);
        for (init, fill) in [(b"one", 1), (b"one", 2), (b"two", 3)] {
            tape.init(&boxed(b"moov", init), MP4);
            tape.segment(&fragment(fill)).unwrap();
        }
        tape.begin();
        tape.init(&boxed(b"moov", b"two"), MP4);
        tape.segment(&fragment(4)).unwrap();
        assert_eq!(names(&path("show.mp4")), "moov free moof mdat free moof mdat");
        assert_eq!(names(&path("show-2.mp4")), "moov free moof mdat");
        assert_eq!(names(&path("show-3.mp4")), "moov free moof mdat");
    }

    #[test]
    fn a_recording_goes_on_in_its_file_wherever_its_process_was_killed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("show.mp4");
        let start = |codec: &[u8]| {
            let mut tape = Tape::new(&path, Sync::System);
            tape.go_on_with("one");
            tape.init(&boxed(b"moov", codec), MP4);
            tape
        };
        let mut tape = start(b"codec");
        (1..3).for_each(|fill| drop(tape.segment(&fragment(fill)).unwrap().map(PathBuf::from)));
        let (whole, framed) = (std::fs::read(&path).unwrap(), boxed(b"free", &fragment(3)));
        for cut in [0, 1, 7, 8, 9, 60, framed.len() - 1, framed.len()] {
            std::fs::write(&path, [&whole[..], &framed[..cut]].concat()).unwrap();
            start(b"codec").segment(&fragment(4)).unwrap();
            assert_eq!(names(&path), "moov free free moof mdat free moof mdat free moof mdat", "{cut}");
            assert_eq!(std::fs::read(&path).unwrap()[..whole.len()], whole);
        }
        // What a power failure has cut off of a whole segment goes as well.
        std::fs::write(&path, &whole[..whole.len() - 5]).unwrap();
        start(b"codec").segment(&fragment(4)).unwrap();
        assert_eq!(names(&path), "moov free free moof mdat free moof mdat");
        start(b"other").segment(&fragment(5)).unwrap();
        assert_eq!(names(&folder.path().join("show-2.mp4")), "moov free free moof mdat");
    }

    #[test]
    fn a_file_that_is_there_is_never_written_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("show");
        std::fs::write(&path, "mine").unwrap();
        let mut tape = Tape::new(&path, Sync::Each);
        tape.segment(b"bytes").unwrap();
        tape.segment(b" and more").unwrap();
        tape.finish().unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"mine");
        assert_eq!(std::fs::read(folder.path().join("show-2")).unwrap(), b"bytes and more");
    }

    #[test]
    fn a_folder_that_is_not_there_is_an_error_each_time_and_then_not_any_more() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("later/show.mp4");
        let mut tape = Tape::new(&path, Sync::System);
        tape.init(&boxed(b"moov", b"codec"), MP4);
        (0..2).for_each(|_| assert!(tape.segment(&fragment(1)).is_err()));
        std::fs::create_dir(folder.path().join("later")).unwrap();
        tape.segment(&fragment(1)).unwrap();
        assert_eq!(names(&path), "moov free moof mdat");
    }
}
