//! A recording, read beside whoever writes it.

use std::path::Path;

use peerstream_sdk::prelude::*;
use peerstream_sdk::traits::archive::{LINES_MAX, Line, StreamMeta};

use crate::document;
use crate::index::{Index, Record};
use crate::restrictions::Restrictions;
use crate::summary::Summary;

/// A recording, read.
#[derive(Debug)]
pub(crate) struct View {
    pub(crate) meta: StreamMeta,
    pub(crate) index: Index,
    pub(crate) restrictions: Restrictions,
    pub(crate) summary: Summary,
}

impl View {
    /// What is on the local disk of it; nothing when it is not there.
    pub(crate) fn open(folder: &Path) -> Result<Option<Self>, PluginError> {
        let Some(meta) = document::read(&folder.join("meta.json"))? else { return Ok(None) };
        let Some(index) = Index::open_to_read(&folder.join("index"))? else { return Ok(None) };
        let restrictions = document::read(&folder.join("restrictions.json"))?.unwrap_or_default();
        let mut summary: Summary = document::read(&folder.join("manifest.json"))?.unwrap_or_default();
        summary.catch_up(&index)?;
        Ok(Some(Self { meta, index, restrictions, summary }))
    }

    pub(crate) fn find(&self, seq: Seq) -> Result<Record, PluginError> {
        let missing = || PluginError::new(ErrorClass::NotFound, format!("segment {} is not kept", seq.0));
        if seq.0 < self.summary.kept_from {
            return Err(missing());
        }
        self.index.find(seq.0)?.ok_or_else(missing)
    }

    /// One that may be given out.
    pub(crate) fn find_shown(&self, seq: Seq) -> Result<Record, PluginError> {
        let record = self.find(seq)?;
        if self.restrictions.withholds(seq.0) {
            return Err(PluginError::new(ErrorClass::Denied, format!("segment {} is withheld", seq.0)));
        }
        Ok(record)
    }

    pub(crate) fn lines(&self, from: Seq, max: usize) -> Result<Vec<Line>, PluginError> {
        let from = from.0.max(self.summary.kept_from);
        let first = self.index.partition(|record| record.seq() < from)?;
        let count = (self.index.len() - first).min(max.min(LINES_MAX));
        let mut lines = Vec::with_capacity(count);
        if count > 0 {
            self.index.each(first, |Record { line, .. }| {
                let withheld = self.restrictions.withholds(line.seq.0);
                lines.push(Line { withheld, ..line });
                lines.len() < count
            })?;
        }
        Ok(lines)
    }
}
