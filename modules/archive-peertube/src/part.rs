//! The part that is being written.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;

use peerstream_media::shift::Shift;
use peerstream_sdk::prelude::*;
use peerstream_sdk::protocol::crypto::hash;
use peerstream_sdk::traits::archive::Segment;

use crate::files;
use crate::index::{Index, Record};
use crate::show::Part;

/// Writes segments behind the codec header into an MP4 that begins at zero.
///
/// A segment counts from when its record is in the index; what a crash or a full disk has left beyond that is cut off.
#[derive(Debug)]
pub(crate) struct Writer {
    media: File,
    index: Index,
    /// None where the codec header cannot be read: then nothing is moved.
    shift: Option<Shift>,
    proof: blake3::Hasher,
    init_len: u32,
    end: u64,
    /// The number of the last segment.
    last: Option<Seq>,
}

impl Writer {
    /// A file that is not there yet, and its index.
    pub(crate) fn create(media_path: &Path, index_path: &Path, init: &[u8]) -> io::Result<Self> {
        // What is left of a part that never had a segment.
        files::remove(index_path)?;
        let mut media = OpenOptions::new().write(true).create(true).truncate(true).open(media_path)?;
        media.write_all(init)?;
        media.sync_all()?;
        let index = Index::open(index_path, 0, |_| {})?;
        files::sync_folder(media_path.parent().unwrap_or(Path::new(".")))?;
        let init_len = u32::try_from(init.len()).map_err(io::Error::other)?;
        let (shift, proof) = (Shift::new(init).ok(), blake3::Hasher::new());
        Ok(Self { media, index, shift, proof, init_len, end: init.len() as u64, last: None })
    }

    /// Goes on with a part, and gives its codec header. What the document says of it is brought up to what is there.
    pub(crate) fn resume(media_path: &Path, index_path: &Path, part: &mut Part) -> io::Result<(Self, Vec<u8>)> {
        let mut media = OpenOptions::new().read(true).write(true).open(media_path)?;
        let (mut init_len, mut count, mut end, mut proof) = (0, 0, 0, blake3::Hasher::new());
        let mut last = None;
        part.gaps.clear();
        (part.end, part.duration_us) = (part.first, 0);
        let index = Index::open(index_path, media.metadata()?.len(), |record| {
            (init_len, count, end, last) = (record.init_len, count + 1, record.end, Some(Seq(record.seq)));
            proof.update(&record.hash);
            part.extend(record.seq, record.pts_us, record.duration_us);
        })?;
        if count == 0 {
            return Err(io::Error::new(io::ErrorKind::NotFound, "a part without segments"));
        }
        media.set_len(end)?;
        let mut init = vec![0; init_len as usize];
        media.seek(SeekFrom::Start(0))?;
        media.read_exact(&mut init)?;
        part.bytes = end;
        part.proof = proof.finalize().to_hex().to_string();
        let shift = Shift::new(&init).ok().map(|shift| shift.resumed(part.base_us, count));
        Ok((Self { media, index, shift, proof, init_len, end, last }, init))
    }

    /// Adds a segment, or nothing of it; it is on the disk when this returns.
    pub(crate) fn add(&mut self, segment: &Segment, part: &mut Part) -> io::Result<()> {
        let core = &segment.header.core;
        let moved = self.shift.as_mut().and_then(|shift| shift.apply(&segment.payload).ok());
        let bytes = moved.as_deref().unwrap_or(&segment.payload);
        let end = self.end + bytes.len() as u64;
        let hash = hash(&segment.encoded);
        self.media.seek(SeekFrom::Start(self.end))?;
        let record = Record {
            seq: core.seq.0,
            end,
            pts_us: core.pts_us,
            duration_us: core.duration_us,
            init_len: self.init_len,
            hash,
        };
        let written = self.media.write_all(bytes).and_then(|()| self.media.sync_data());
        if let Err(error) = written.and_then(|()| self.index.add(&record)) {
            let _ = self.media.set_len(self.end);
            return Err(error);
        }
        (self.end, self.last) = (end, Some(core.seq));
        self.proof.update(&hash);
        part.base_us = self.shift.as_ref().and_then(Shift::base_us);
        part.extend(core.seq.0, core.pts_us, core.duration_us);
        (part.bytes, part.proof) = (end, self.proof.finalize().to_hex().to_string());
        Ok(())
    }

    /// Whether this was the last segment that was added.
    pub(crate) fn has(&self, seq: Seq) -> bool {
        self.last == Some(seq)
    }
}
