//! One recording that is open.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use peerstream_sdk::prelude::*;
use peerstream_sdk::traits::archive::{
    Header, Item, Manifest, Receipt, RestrictMode, Restriction, Segment, StreamMeta,
};
use tracing::warn;

use crate::data::Data;
use crate::entry::{self, Key};
use crate::files;
use crate::index::{self, Index, Place, Places};
use crate::restrictions::Restrictions;

/// One recording that is open.
#[derive(Debug)]
pub(crate) struct Recording {
    folder: PathBuf,
    data: Data,
    /// Only of one that is written.
    index: Option<Index>,
    places: Places,
    restrictions: Restrictions,
}

/// How a recording is written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Policy {
    pub(crate) sync: bool,
    pub(crate) bytes_max: u64,
}

impl Recording {
    /// Begins a recording or goes on with one, after healing what a crash has left.
    pub(crate) fn open(folder: &Path, meta: &StreamMeta) -> Result<Self, PluginError> {
        std::fs::create_dir_all(folder)?;
        let known: Option<StreamMeta> = files::read(&folder.join("meta.json"))?;
        match known {
            None => files::write(&folder.join("meta.json"), meta)?,
            Some(known) if (&known.stream, known.epoch, &known.cert) == (&meta.stream, meta.epoch, &meta.cert) => {}
            Some(_) => {
                let message = format!("{} is a recording of something else", folder.display());
                return Err(PluginError::new(ErrorClass::Conflict, message));
            }
        }
        let mut data = Data::open(&folder.join("segments.dat"))?;
        files::sync_folder(folder)?;
        let restrictions: Restrictions = files::read(&folder.join("restrictions.json"))?.unwrap_or_default();
        let (places, end) = places(folder, &data, &restrictions)?;
        if end < data.len() {
            warn!(folder = %folder.display(), bytes = data.len() - end, "an entry that a crash has cut short is removed");
            data.cut(end)?;
        }
        let index = Some(Index::rewrite(&folder.join("segments.idx"), &places)?);
        Ok(Self { folder: folder.to_owned(), data, index, places, restrictions })
    }

    /// Only to read, beside whoever writes.
    pub(crate) fn open_to_read(folder: &Path) -> Result<Self, PluginError> {
        let data = Data::open_to_read(&folder.join("segments.dat"))?;
        let restrictions: Restrictions = files::read(&folder.join("restrictions.json"))?.unwrap_or_default();
        let (places, _) = places(folder, &data, &restrictions)?;
        Ok(Self { folder: folder.to_owned(), data, index: None, places, restrictions })
    }

    pub(crate) fn put(&mut self, item: &Item, policy: Policy) -> Result<Receipt, PluginError> {
        let (head, body) = entry::of(item).ok_or_else(|| PluginError::invalid("the item is too large"))?;
        if let Some(known) = self.places.get(&head.key) {
            return if known.head.check == head.check {
                Ok(Receipt::AlreadyKept)
            } else {
                Err(PluginError::new(ErrorClass::Conflict, format!("{:?} is kept with other bytes", head.key)))
            };
        }
        if policy.bytes_max > 0 && self.data.len() + head.entry_len() > policy.bytes_max {
            let message = format!("the recording has reached its bound of {} bytes", policy.bytes_max);
            return Err(PluginError::new(ErrorClass::Denied, message));
        }
        let place = Place { at: self.data.append(&head, &body, policy.sync)?, head };
        self.places.insert(head.key, place);
        // An index that cannot be written is made anew at the next start.
        if let Some(Err(error)) = self.index.as_mut().map(|index| index.add(&place)) {
            warn!(%error, "the index cannot be written");
            self.index = None;
        }
        Ok(Receipt::Kept)
    }

    pub(crate) fn finalize(&self, manifest: &Manifest) -> Result<(), PluginError> {
        self.data.sync()?;
        Ok(files::write(&self.folder.join("manifest.json"), manifest)?)
    }

    pub(crate) fn read(&self, seq: Seq) -> Result<Segment, PluginError> {
        let place = self.places.get(&Key::Segment(seq.0));
        let place =
            place.ok_or_else(|| PluginError::new(ErrorClass::NotFound, format!("segment {} is not kept", seq.0)))?;
        if self.restrictions.withholds(seq.0) {
            return Err(PluginError::new(ErrorClass::Denied, format!("segment {} is withheld", seq.0)));
        }
        let body = self.data.body(place.at, &place.head)?;
        let damaged = || PluginError::new(ErrorClass::Internal, format!("segment {} is damaged", seq.0));
        if !place.head.fits(&body) {
            return Err(damaged());
        }
        let mut encoded = Bytes::from(body);
        let payload = encoded.split_off(place.head.header_len as usize);
        let header = Arc::new(Header::decode(&encoded).map_err(|_| damaged())?);
        Ok(Segment { header, encoded, payload })
    }

    /// The word is on the disk before anything is erased, so that a crash in between leaves nothing half erased that counts as whole.
    pub(crate) fn restrict(&mut self, restriction: &Restriction) -> Result<(), PluginError> {
        if restriction.first >= restriction.end {
            return Err(PluginError::invalid("the range is empty"));
        }
        let mut changed = self.restrictions.clone();
        changed.apply(restriction);
        files::write(&self.folder.join("restrictions.json"), &changed)?;
        self.restrictions = changed;
        if restriction.mode == RestrictMode::Erase {
            let range = Key::Segment(restriction.first.0)..Key::Segment(restriction.end.0);
            for place in self.places.range(range).map(|(_, place)| place) {
                self.data.erase(place.at, &place.head)?;
            }
            self.data.sync()?;
        }
        Ok(())
    }

    /// What it holds now: by the manifest if it was finished, else by its entries.
    pub(crate) fn manifest(&self) -> Result<Manifest, PluginError> {
        if let Some(manifest) = files::read(&self.folder.join("manifest.json"))? {
            return Ok(manifest);
        }
        let mut seqs = self.places.keys().filter_map(|key| match key {
            Key::Segment(seq) => Some(*seq),
            Key::Init(_) => None,
        });
        let Some(first) = seqs.next() else {
            return Ok(Manifest { first: Seq(0), end: Seq(0), gaps: Vec::new(), ended: false });
        };
        let (mut end, mut gaps) = (first + 1, Vec::new());
        for seq in seqs {
            if seq > end {
                gaps.push((Seq(end), Seq(seq)));
            }
            end = seq + 1;
        }
        Ok(Manifest { first: Seq(first), end: Seq(end), gaps, ended: false })
    }
}

/// All whole entries, and where they end: by the index as far as it goes, beyond it by the data itself.
fn places(folder: &Path, data: &Data, restrictions: &Restrictions) -> io::Result<(Places, u64)> {
    let (mut places, mut end) = index::read(&folder.join("segments.idx"))?;
    if end > data.len() {
        // The index knows more than there is: the data was not synced when the power failed.
        (places, end) = (Places::new(), 0);
    }
    while let Some(head) = data.head(end)? {
        let erased = matches!(head.key, Key::Segment(seq) if restrictions.has_erased(seq));
        if !erased && !head.fits(&data.body(end, &head)?) {
            break;
        }
        places.insert(head.key, Place { at: end, head });
        end += head.entry_len();
    }
    Ok((places, end))
}
