//! The folder in which broadcasts wait: their documents and the files of their parts.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use tracing::warn;

use crate::files;
use crate::part::Writer;
use crate::show::{Part, Show, State, Visibility};

/// Broadcasts that are remembered; beyond it the oldest of those for which nothing is left to do are forgotten.
pub(crate) const SHOWS_MAX: usize = 512;

/// All that is known. Whoever holds it holds the folder.
#[derive(Debug)]
pub(crate) struct Spool {
    folder: PathBuf,
    /// By the name of the recording, which is that of the folder.
    shows: BTreeMap<String, Show>,
    /// Keeps others out.
    _lock: File,
}

/// Names a part: its show, and its place there.
pub(crate) type Key = (String, usize);

impl Spool {
    /// Opens the folder, creates it if need be, and heals what a crash has left.
    pub(crate) fn open(folder: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let lock = File::create(folder.join("lock"))?;
        lock.try_lock().map_err(|_| {
            io::Error::new(io::ErrorKind::AddrInUse, format!("{} is in use by another host", folder.display()))
        })?;
        let mut spool = Self { folder: folder.to_owned(), shows: BTreeMap::new(), _lock: lock };
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            if !path.is_dir() {
                continue;
            }
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if let Some(show) = files::read::<Show>(&path.join("show.json"))? {
                spool.shows.insert(name, show);
            }
        }
        for id in spool.ids() {
            spool.heal(&id)?;
        }
        Ok(spool)
    }

    /// Brings what the document says of a part that was being written up to what is on the disk.
    fn heal(&mut self, id: &str) -> io::Result<()> {
        let Some(mut show) = self.shows.get(id).cloned() else { return Ok(()) };
        let last = show.parts.len();
        if let Some(part) = show.parts.last_mut().filter(|part| part.state == State::Writing) {
            match Writer::resume(&self.media(id, last), &self.index(id, last), part) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    show.parts.pop();
                    files::remove(&self.media(id, last))?;
                }
                Err(error) => return Err(error),
            }
        }
        // A crash between the document and the file: the document counts.
        for (index, part) in show.parts.iter_mut().enumerate() {
            if !part.is_in_spool() {
                files::remove(&self.media(id, index + 1))?;
            } else if part.state != State::Writing && !self.media(id, index + 1).exists() {
                warn!(broadcast = id, part = index + 1, "the file of a part is gone");
                part.state = State::Erased;
            }
        }
        self.shows.insert(id.to_owned(), show);
        self.save(id)
    }

    /// Writes a show's document.
    pub(crate) fn save(&self, id: &str) -> io::Result<()> {
        let Some(show) = self.shows.get(id) else { return Ok(()) };
        files::write(&self.folder.join(id).join("show.json"), show)
    }

    /// Begins to remember a show that is not known.
    pub(crate) fn begin(&mut self, id: &str, show: Show) -> io::Result<()> {
        std::fs::create_dir_all(self.folder.join(id))?;
        self.shows.insert(id.to_owned(), show);
        self.save(id)
    }

    /// Forgets the oldest shows for which nothing is left to do, if there are too many.
    pub(crate) fn forget(&mut self, unlisted_until_end: bool) -> io::Result<()> {
        for id in self.ids() {
            if self.shows.len() <= SHOWS_MAX {
                break;
            }
            if self.shows[&id].is_settled(unlisted_until_end) {
                self.shows.remove(&id);
                std::fs::remove_dir_all(self.folder.join(&id))?;
            }
        }
        Ok(())
    }

    /// All shows, the oldest first.
    pub(crate) fn ids(&self) -> Vec<String> {
        let mut ids: Vec<_> = self.shows.iter().map(|(id, show)| (show.began_us, show.epoch, id.clone())).collect();
        ids.sort();
        ids.into_iter().map(|(.., id)| id).collect()
    }

    pub(crate) fn show(&self, id: &str) -> Option<&Show> {
        self.shows.get(id)
    }

    pub(crate) fn show_mut(&mut self, id: &str) -> Option<&mut Show> {
        self.shows.get_mut(id)
    }

    pub(crate) fn part_mut(&mut self, (id, index): &Key) -> Option<&mut Part> {
        self.shows.get_mut(id)?.parts.get_mut(*index)
    }

    /// Where a part's file is; numbers begin with 1.
    pub(crate) fn media(&self, id: &str, number: usize) -> PathBuf {
        self.folder.join(id).join(format!("{number:04}.mp4"))
    }

    /// Where the index of a part that is written is.
    pub(crate) fn index(&self, id: &str, number: usize) -> PathBuf {
        self.folder.join(id).join(format!("{number:04}.idx"))
    }

    /// A part is complete: it is uploaded when its turn comes.
    pub(crate) fn close(&mut self, id: &str) -> io::Result<()> {
        let Some(show) = self.shows.get_mut(id) else { return Ok(()) };
        let number = show.parts.len();
        let Some(part) = show.parts.last_mut().filter(|part| part.state == State::Writing) else { return Ok(()) };
        part.state = State::Closed;
        self.save(id)?;
        files::remove(&self.index(id, number))
    }

    /// A part is not needed in the spool any more. The word is on the disk before the file goes.
    pub(crate) fn drop_file(&self, (id, index): &Key) -> io::Result<()> {
        self.save(id)?;
        files::remove(&self.media(id, index + 1))?;
        files::remove(&self.index(id, index + 1))
    }

    /// Parts that wait, how many of them the site does not take, and the bytes of all.
    pub(crate) fn waiting(&self) -> (usize, usize, u64) {
        let parts = || self.shows.values().flat_map(|show| &show.parts).filter(|part| part.is_in_spool());
        let refused = parts().filter(|part| part.state == State::Refused).count();
        (parts().count(), refused, parts().map(|part| part.bytes).sum())
    }

    /// The first part whose video does not show what it should.
    pub(crate) fn next_visibility(&self) -> Option<Key> {
        self.find(|part| !part.is_shown_as_wanted())
    }

    /// The first part, in order, with which there is something to do beside its visibility.
    pub(crate) fn next_part(&self) -> Option<Key> {
        self.find(|part| match part.state {
            State::Closed => part.wanted == Visibility::Shown,
            State::Uploaded => part.wanted != Visibility::Erased && !(part.chaptered && part.listed),
            _ => false,
        })
    }

    /// The first show that has ended and whose videos are all there, but still unlisted.
    pub(crate) fn next_publication(&self) -> Option<String> {
        let waits = |part: &Part| match part.state {
            State::Writing => true,
            State::Closed => part.wanted == Visibility::Shown,
            _ => false,
        };
        let due = |id: &String| {
            let show = &self.shows[id];
            show.ended && !show.published && !show.parts.iter().any(waits)
        };
        self.ids().into_iter().find(due)
    }

    fn find(&self, holds: impl Fn(&Part) -> bool) -> Option<Key> {
        self.ids().into_iter().find_map(|id| {
            let index = self.shows[&id].parts.iter().position(&holds)?;
            Some((id, index))
        })
    }
}
