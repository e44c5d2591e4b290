//! What is too old or too much goes, a block at a time, the oldest first.

use std::time::{SystemTime, UNIX_EPOCH};

use peerstream_sdk::prelude::*;
use peerstream_sdk::traits::archive::{Epoch, RecordingId};
use tracing::info;

use crate::document;
use crate::store::Inner;
use crate::view::View;

/// A recording with what retention wants to know of it.
struct Kept {
    id: RecordingId,
    epoch: Epoch,
    view: View,
    /// The block that is written; it and what is behind it stay.
    open_block: Option<u64>,
    is_open: bool,
}

/// Notes down what is to go; the courier deletes it. Gives the recordings concerned.
pub(crate) fn review(inner: &Inner) -> Result<Vec<RecordingId>, PluginError> {
    let (hours, bytes_max) = (inner.config.keep_hours, inner.config.bytes_max);
    if hours == 0 && bytes_max == 0 {
        return Ok(Vec::new());
    }
    let mut kept = Vec::new();
    for id in inner.spool.recordings()? {
        let Some(view) = View::open(&inner.spool.of(&id)?)? else { continue };
        let open = inner.recording(&id);
        let open_block = open.as_ref().and_then(|it| it.lock().expect("no holder panics").open_block());
        kept.push(Kept { epoch: view.meta.epoch, id, view, open_block, is_open: open.is_some() });
    }
    kept.sort_by_key(|it| it.epoch);
    let mut concerned = Vec::new();
    if hours > 0 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros() as u64;
        let before_us = now.saturating_sub(u64::from(hours) * 3_600_000_000);
        for it in &mut kept {
            let old = it.view.index.partition(|record| record.line.wall_us < before_us)?;
            concerned.extend(forget(inner, it, old, u64::MAX)?);
        }
    }
    if bytes_max > 0 {
        let mut too_much = kept.iter().map(|it| it.view.summary.bytes).sum::<u64>().saturating_sub(bytes_max);
        for it in &mut kept {
            let before = it.view.summary.bytes;
            if too_much > 0 {
                let all = it.view.index.len();
                concerned.extend(forget(inner, it, all, too_much)?);
                too_much = too_much.saturating_sub(before - it.view.summary.bytes);
            }
        }
    }
    Ok(concerned)
}

/// Whole blocks at the front of a recording.
#[derive(Debug, Default, PartialEq, Eq)]
struct Front {
    blocks: Vec<u64>,
    bytes: u64,
    /// The first number that is not in them.
    end: u64,
    /// Whether there is nothing behind them.
    is_all: bool,
}

/// The blocks at the front whose records are all among the first so many, until so many bytes are reached. The block that is written stays.
fn front(it: &Kept, old: usize, enough: u64) -> Result<Front, PluginError> {
    let index = &it.view.index;
    let mut front = Front::default();
    let mut at = index.partition(|record| record.seq() < it.view.summary.kept_from)?;
    while at < index.len() && front.bytes < enough {
        let block = index.record(at)?.block;
        let next = index.partition(|record| record.block <= block)?;
        if next > old || it.open_block.is_some_and(|open| block >= open) {
            return Ok(front);
        }
        index.each(at, |record| {
            front.bytes += if record.block == block { record.entry_len() } else { 0 };
            record.block == block
        })?;
        front.blocks.push(block);
        front.end = if next < index.len() { index.record(next)?.block } else { it.view.summary.manifest.end.0 };
        at = next;
    }
    front.is_all = at == index.len();
    Ok(front)
}

/// Forgets blocks at the front. Gives the recording if there is something to do.
fn forget(inner: &Inner, it: &mut Kept, old: usize, enough: u64) -> Result<Option<RecordingId>, PluginError> {
    let Front { blocks, bytes, end, is_all } = front(it, old, enough)?;
    if blocks.is_empty() {
        return Ok(None);
    }
    let folder = inner.spool.of(&it.id)?;
    let gone = is_all && !it.is_open;
    info!(recording = it.id.0, bytes, gone, "too old or too much: deleted");
    // First the word that it is not kept, then the deed.
    it.view.summary.forget(end, bytes);
    match inner.recording(&it.id) {
        Some(open) => open.lock().expect("no holder panics").forget(end, bytes)?,
        None => document::post(&folder.join("manifest.json"), &it.view.summary)?,
    }
    inner.note(&folder, |all| {
        all.delete.extend(blocks);
        all.gone = gone;
    })?;
    Ok(Some(it.id.clone()))
}
