//! A recording that is written.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use peerstream_sdk::prelude::*;
use peerstream_sdk::protocol::header::Flags;
use peerstream_sdk::traits::archive::{InitId, Item, Manifest, Receipt, Segment, StreamMeta};
use tracing::warn;

use crate::block::{self, Block};
use crate::config::{Config, Sync};
use crate::document;
use crate::entry::{Entry, Head};
use crate::index::{Index, Record};
use crate::restrictions::Restrictions;
use crate::spool::Spool;
use crate::summary::Summary;

/// Inits of one recording, at most; one more is refused.
const INITS_MAX: usize = 65_536;
/// A lock that is held is asked for so many times more, after this pause each: a child process that is just being started has a
/// copy of every open file until it runs its own program, and with it of a lock that was given back since.
const LOCK_TRIES: u32 = 20;
const LOCK_PAUSE: Duration = Duration::from_millis(10);
/// The index is made anew when so many records, and more than half of it, are of what is not kept any more.
const DEAD_MIN: usize = 65_536;
/// A block without a key frame ends when it is so many times as large as it should be.
const OVERSIZE_MAX: u64 = 4;

/// A recording that is written. One process at a time does.
#[derive(Debug)]
pub(crate) struct Recording {
    folder: PathBuf,
    spool: Arc<Spool>,
    rules: Rules,
    index: Index,
    last: Option<Record>,
    block: Option<Block>,
    inits: usize,
    summary: Summary,
    _lock: File,
}

/// How a recording is written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    sync: bool,
    block_us: u64,
    block_bytes: u64,
}

impl Rules {
    pub(crate) fn of(config: &Config) -> Self {
        Self {
            sync: config.sync == Sync::Each,
            block_us: u64::from(config.block_seconds) * 1_000_000,
            block_bytes: config.block_bytes.into(),
        }
    }
}

/// What a put has done beside keeping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum News {
    /// Nothing.
    None,
    /// There is something for the courier.
    Parcel,
}

impl Recording {
    /// Begins a recording or goes on with one, after healing what a crash has left.
    pub(crate) fn open(
        folder: &Path,
        meta: &StreamMeta,
        spool: &Arc<Spool>,
        rules: Rules,
    ) -> Result<Self, PluginError> {
        std::fs::create_dir_all(folder.join("inits"))?;
        let lock = lock(folder)?;
        let known: Option<StreamMeta> = document::read(&folder.join("meta.json"))?;
        match known {
            None => {
                document::post(&folder.join("meta.json"), meta)?;
                document::sync_folder(&spool.folder)?;
            }
            Some(known) if (&known.stream, known.epoch, &known.cert) == (&meta.stream, meta.epoch, &meta.cert) => {}
            Some(_) => {
                let message = format!("{} is a recording of something else", folder.display());
                return Err(PluginError::new(ErrorClass::Conflict, message));
            }
        }
        let index = heal(folder, spool)?;
        let mut summary: Summary = document::read(&folder.join("manifest.json")).ok().flatten().unwrap_or_default();
        summary.catch_up(&index)?;
        let last = index.last()?;
        let inits = std::fs::read_dir(folder.join("inits"))?.count();
        let mut recording = Self {
            folder: folder.to_owned(),
            spool: spool.clone(),
            rules,
            index,
            last,
            block: None,
            inits,
            summary,
            _lock: lock,
        };
        recording.save()?;
        Ok(recording)
    }

    /// Heals a recording that nobody writes, so that the courier can take what is there.
    pub(crate) fn mend(folder: &Path, spool: &Arc<Spool>, rules: Rules) -> Result<(), PluginError> {
        if block::list(folder, block::OPEN)?.is_empty() && block::list(folder, block::CLOSED)?.is_empty() {
            return Ok(());
        }
        let Some(meta) = document::read::<StreamMeta>(&folder.join("meta.json"))? else { return Ok(()) };
        Self::open(folder, &meta, spool, rules).map(drop)
    }

    pub(crate) fn put(&mut self, item: &Item) -> Result<(Receipt, News), PluginError> {
        match item {
            Item::Init { id, encoded } => self.put_init(*id, encoded),
            Item::Segment(segment) => self.put_segment(segment),
        }
    }

    fn put_init(&mut self, id: InitId, encoded: &[u8]) -> Result<(Receipt, News), PluginError> {
        let path = init_path(&self.folder, id);
        if path.exists() {
            return Ok((Receipt::AlreadyKept, News::None));
        }
        if InitId::of(encoded) != id {
            return Err(PluginError::invalid("the init is not the one that its id names"));
        }
        // Marks beside them are counted too, which is on the safe side.
        if self.inits >= INITS_MAX {
            return Err(PluginError::new(ErrorClass::Denied, format!("a recording has at most {INITS_MAX} inits")));
        }
        document::post_bytes(&path, encoded)?;
        self.inits += 1;
        Ok((Receipt::Kept, News::Parcel))
    }

    fn put_segment(&mut self, segment: &Segment) -> Result<(Receipt, News), PluginError> {
        let core = &segment.header.core;
        let follows_gap = self.last.is_some_and(|last| core.seq.0 > last.seq() + 1);
        let head = Head::of(segment, follows_gap).ok_or_else(|| PluginError::invalid("the segment is too large"))?;
        if let Some(last) = self.last
            && core.seq.0 <= last.seq()
        {
            return self.known(segment).map(|receipt| (receipt, News::None));
        }
        let mut news = News::None;
        if self.is_time_to_close(core.flags.has(Flags::JOIN_POINT), core.wall_us) {
            self.close_block()?;
            news = News::Parcel;
        }
        self.spool.take(head.entry_len())?;
        if let Err(error) = self.append(&head, segment) {
            self.spool.give_back(head.entry_len());
            return Err(error.into());
        }
        Ok((Receipt::Kept, news))
    }

    /// A number that was passed already.
    fn known(&self, segment: &Segment) -> Result<Receipt, PluginError> {
        let seq = segment.header.core.seq.0;
        let conflict = |what: &str| PluginError::new(ErrorClass::Conflict, format!("segment {seq}: {what}"));
        let Some(record) = self.index.find(seq)? else { return Err(conflict("a later one is kept already")) };
        let same = Head::of(segment, record.follows_gap).is_some_and(|head| head.header_sum == record.header_sum);
        if same { Ok(Receipt::AlreadyKept) } else { Err(conflict("another one is kept under this number")) }
    }

    fn is_time_to_close(&self, is_key: bool, wall_us: u64) -> bool {
        let Some(block) = &self.block else { return false };
        let is_due =
            block.len >= self.rules.block_bytes || wall_us.saturating_sub(block.began_us) >= self.rules.block_us;
        is_due && is_key || block.len >= OVERSIZE_MAX * self.rules.block_bytes
    }

    fn append(&mut self, head: &Head, segment: &Segment) -> io::Result<()> {
        let core = &segment.header.core;
        if self.block.is_none() {
            self.block = Some(Block::create(&self.folder, core.seq.0, core.wall_us)?);
        }
        let block = self.block.as_mut().expect("made above");
        let at = block.append(head, segment, self.rules.sync)?;
        let entry = Entry {
            header: (*segment.header).clone(),
            encoded: segment.encoded.clone(),
            payload: segment.payload.clone(),
            whole: true,
            head: *head,
        };
        let record = Record::of(&entry, block.first, at);
        if let Err(error) = self.index.append(&record) {
            block.cut(u64::from(at))?;
            return Err(error);
        }
        self.summary.add(&record);
        self.last = Some(record);
        Ok(())
    }

    /// The block waits for the courier from now on. What cannot be written beside it is made anew at the next start.
    pub(crate) fn close_block(&mut self) -> io::Result<()> {
        let Some(block) = &self.block else { return Ok(()) };
        self.index.sync()?;
        block.close()?;
        self.block = None;
        if let Err(error) = self.save() {
            warn!(folder = %self.folder.display(), %error, "what the recording holds cannot be noted down");
        }
        Ok(())
    }

    /// It is over, or pauses.
    pub(crate) fn finalize(&mut self, told: &Manifest) -> io::Result<()> {
        self.close_block()?;
        self.summary.close(told);
        self.save()
    }

    /// What was before this number is not kept any more.
    pub(crate) fn forget(&mut self, kept_from: u64, bytes: u64) -> io::Result<()> {
        self.summary.forget(kept_from, bytes);
        self.save()?;
        let dead = self.index.partition(|record| record.seq() < kept_from)?;
        if dead >= DEAD_MIN && dead > self.index.len() / 2 {
            self.index = self.index.without(dead, &self.folder.join("index"))?;
            self.summary.uncount(dead);
            self.save()?;
        }
        Ok(())
    }

    /// The first number of the block that is written.
    pub(crate) fn open_block(&self) -> Option<u64> {
        self.block.as_ref().map(|block| block.first)
    }

    fn save(&mut self) -> io::Result<()> {
        document::post(&self.folder.join("manifest.json"), &self.summary)
    }
}

pub(crate) fn init_path(folder: &Path, id: InitId) -> PathBuf {
    let name: String = id.0.iter().map(|byte| format!("{byte:02x}")).collect();
    folder.join("inits").join(name)
}

/// Makes the index fit the blocks in the spool, which are the latest ones, and closes the one that was being written. An entry that was cut
/// short is removed.
fn heal(folder: &Path, spool: &Spool) -> Result<Index, PluginError> {
    let mut index = Index::open(&folder.join("index"))?;
    let restrictions: Restrictions = document::read(&folder.join("restrictions.json"))?.unwrap_or_default();
    for first in block::list(folder, block::OPEN)? {
        block::close(folder, first)?;
    }
    for first in block::list(folder, block::CLOSED)? {
        match heal_block(folder, first, &restrictions, &mut index, spool) {
            // The courier has taken it meanwhile.
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            healed => healed?,
        }
    }
    index.sync()?;
    Ok(index)
}

fn heal_block(
    folder: &Path,
    first: u64,
    restrictions: &Restrictions,
    index: &mut Index,
    spool: &Spool,
) -> io::Result<()> {
    let path = block::path(folder, first, block::CLOSED);
    let mut found = Vec::new();
    let (end, len) = block::scan(
        &path,
        |seq| restrictions.has_erased(seq),
        |at, entry| {
            found.push(Record::of(entry, first, at));
            Ok(())
        },
    )?;
    if end < len {
        warn!(block = %path.display(), bytes = len - end, "what a crash has cut short is removed");
        OpenOptions::new().write(true).open(&path)?.set_len(end)?;
        spool.give_back(len - end);
    }
    if end == 0 {
        std::fs::remove_file(&path)?;
    }
    let from = index.partition(|record| record.block < first)?;
    let mut known = Vec::new();
    index.each(from, |record| {
        known.push(record);
        record.block == first
    })?;
    known.retain(|record| record.block == first);
    if known != found {
        index.truncate(from)?;
        found.iter().try_for_each(|record| index.append(record))?;
    }
    Ok(())
}

fn lock(folder: &Path) -> io::Result<File> {
    let file = OpenOptions::new().write(true).create(true).truncate(false).open(folder.join("lock"))?;
    let mut free = file.try_lock();
    for _ in 0..LOCK_TRIES {
        if free.is_ok() {
            break;
        }
        thread::sleep(LOCK_PAUSE);
        free = file.try_lock();
    }
    free.map_err(|_| io::Error::new(ErrorKind::ResourceBusy, "another process writes this recording"))?;
    Ok(file)
}
