//! Bridges over lost fragments of fragmented MP4: the first fragment behind a hole takes over the time of the hole.
//!
//! Browsers discard everything between a jump in decode time and the next key frame, up to a whole group of pictures.
//! Without a jump they decode on and conceal what is missing. So in the first fragment behind a hole each track begins where
//! it had ended, and its first sample lasts so much longer. What is forwarded stays as it was signed.

use std::collections::BTreeMap;
use std::ops::Range;

/// Boxes looked at in one fragment or header.
const BOXES_MAX: usize = 4096;
/// Tracks that are bridged; beyond it a fragment is left alone.
const TRACKS_MAX: usize = 8;
/// Samples in one run.
const SAMPLES_MAX: u32 = 4096;
/// The largest fragment that is rewritten, in bytes.
const FRAGMENT_BYTES_MAX: usize = 8 * 1024 * 1024;

const TFHD_BASE: u32 = 0x1;
const TFHD_DESCRIPTION: u32 = 0x2;
const TFHD_DURATION: u32 = 0x8;
const TRUN_OFFSET: u32 = 0x1;
const TRUN_FIRST_FLAGS: u32 = 0x4;
const TRUN_DURATION: u32 = 0x100;
/// Each of the fields of a sample that a run may have.
const TRUN_FIELDS: [u32; 4] = [0x100, 0x200, 0x400, 0x800];

/// The fragment behind a hole, rewritten to follow the one before it. `header` is the codec header of both. None when it is
/// not to be bridged: no hole, another shape than expected, or nothing of the track before it.
pub fn bridge(header: &[u8], before: &[u8], after: &[u8]) -> Option<Vec<u8>> {
    if after.len() > FRAGMENT_BYTES_MAX {
        return None;
    }
    let defaults = default_durations(header);
    let ends = ends(before, &defaults)?;
    let mut bridged = after.to_vec();
    let mut done = Vec::new();
    let mut at = 0;
    while let Some(found) = find(&bridged, at..bridged.len(), b"moof") {
        let end = bridge_moof(&mut bridged, found.outer, &defaults, &ends, &mut done)?;
        at = end;
    }
    (bridged != after).then_some(bridged)
}

/// Rewrites the tracks of one `moof` that are not done yet; where it ends then.
fn bridge_moof(
    bytes: &mut Vec<u8>,
    moof: Range<usize>,
    defaults: &BTreeMap<u32, u32>,
    ends: &BTreeMap<u32, u64>,
    done: &mut Vec<u32>,
) -> Option<usize> {
    let fragments: Vec<_> = children(bytes, inner(bytes, &moof)?).filter(|found| found.kind == *b"traf").collect();
    let mut grown = 0;
    for traf in fragments {
        let traf = traf.outer.start + grown..traf.outer.end + grown;
        let track = Track::read(bytes, traf.clone(), defaults)?;
        let Some(end) = ends.get(&track.id).filter(|_| !done.contains(&track.id)) else { continue };
        if done.len() >= TRACKS_MAX {
            return None;
        }
        done.push(track.id);
        if track.begins > *end {
            let more = u32::try_from(track.begins - end).ok()?;
            grown += track.stretch(bytes, *end, more, &[moof.start, traf.start])?;
        }
    }
    if grown > 0 {
        shift_data(bytes, moof.start..moof.end + grown, i32::try_from(grown).ok()?)?;
    }
    Some(moof.end + grown)
}

/// Where each track ends in decode time, in units of its own.
fn ends(fragment: &[u8], defaults: &BTreeMap<u32, u32>) -> Option<BTreeMap<u32, u64>> {
    let mut ends = BTreeMap::new();
    for moof in children(fragment, 0..fragment.len()).filter(|found| found.kind == *b"moof") {
        for traf in children(fragment, moof.inner).filter(|found| found.kind == *b"traf") {
            let track = Track::read(fragment, traf.outer, defaults)?;
            let end = track.begins.checked_add(track.duration)?;
            let known = ends.entry(track.id).or_insert(end);
            *known = end.max(*known);
        }
    }
    Some(ends)
}

/// The durations that samples have when nothing else is said (`trex`), by track.
fn default_durations(header: &[u8]) -> BTreeMap<u32, u32> {
    let Some(moov) = find(header, 0..header.len(), b"moov") else { return BTreeMap::new() };
    let Some(mvex) = find(header, moov.inner, b"mvex") else { return BTreeMap::new() };
    let all = children(header, mvex.inner).filter(|found| found.kind == *b"trex");
    all.filter_map(|trex| Some((u32_at(header, trex.inner.start + 4)?, u32_at(header, trex.inner.start + 12)?)))
        .collect()
}

/// One track's part of a `moof`.
#[derive(Debug)]
struct Track {
    id: u32,
    begins: u64,
    /// Of all its samples.
    duration: u64,
    /// What a sample without a duration of its own lasts.
    default: u32,
    /// Where the content of `tfdt` begins.
    tfdt: usize,
    /// Its first run.
    run: Run,
}

#[derive(Clone, Debug)]
struct Run {
    outer: Range<usize>,
    flags: u32,
    count: u32,
    /// Where the first sample's fields begin.
    samples: usize,
}

impl Run {
    fn read(bytes: &[u8], found: &Found) -> Option<Self> {
        let start = found.inner.start;
        let flags = u32_at(bytes, start)? & 0xff_ffff;
        let count = u32_at(bytes, start + 4).filter(|count| *count <= SAMPLES_MAX)?;
        let optional = [TRUN_OFFSET, TRUN_FIRST_FLAGS].iter().filter(|flag| flags & **flag != 0).count();
        let run = Self { outer: found.outer.clone(), flags, count, samples: start + 8 + 4 * optional };
        (run.samples + run.stride() * count as usize == found.inner.end).then_some(run)
    }

    /// The bytes of one sample's fields.
    fn stride(&self) -> usize {
        4 * TRUN_FIELDS.iter().filter(|field| self.flags & **field != 0).count()
    }

    /// How long all its samples last.
    fn duration(&self, bytes: &[u8], default: u32) -> Option<u64> {
        if self.flags & TRUN_DURATION == 0 {
            return Some(u64::from(default) * u64::from(self.count));
        }
        (0..self.count as usize).map(|index| u32_at(bytes, self.samples + index * self.stride()).map(u64::from)).sum()
    }
}

impl Track {
    fn read(bytes: &[u8], traf: Range<usize>, defaults: &BTreeMap<u32, u32>) -> Option<Self> {
        let parts: Vec<_> = children(bytes, inner(bytes, &traf)?).collect();
        let part = |kind: &[u8; 4]| parts.iter().find(|found| found.kind == *kind);
        let tfhd = part(b"tfhd")?.inner.start;
        let (flags, id) = (u32_at(bytes, tfhd)? & 0xff_ffff, u32_at(bytes, tfhd + 4)?);
        let before = if flags & TFHD_BASE != 0 { 8 } else { 0 } + if flags & TFHD_DESCRIPTION != 0 { 4 } else { 0 };
        let own = (flags & TFHD_DURATION != 0).then(|| u32_at(bytes, tfhd + 8 + before)).flatten();
        let default = own.or_else(|| defaults.get(&id).copied()).unwrap_or(0);
        let tfdt = part(b"tfdt")?.inner.start;
        let begins = match bytes.get(tfdt)? {
            0 => u64::from(u32_at(bytes, tfdt + 4)?),
            _ => u64::from(u32_at(bytes, tfdt + 4)?) << 32 | u64::from(u32_at(bytes, tfdt + 8)?),
        };
        let runs = parts.iter().filter(|found| found.kind == *b"trun").map(|found| Run::read(bytes, found));
        let runs: Vec<_> = runs.collect::<Option<_>>()?;
        let duration = runs.iter().map(|run| run.duration(bytes, default)).sum::<Option<u64>>()?;
        let run = runs.into_iter().find(|run| run.count > 0)?;
        Some(Self { id, begins, duration, default, tfdt, run })
    }

    /// Lets it begin at `begins` and its first sample last `more` longer; by how many bytes that made it grow.
    fn stretch(&self, bytes: &mut Vec<u8>, begins: u64, more: u32, around: &[usize]) -> Option<usize> {
        let Run { flags, count, samples, .. } = self.run;
        match *bytes.get(self.tfdt)? {
            0 => put(bytes, self.tfdt + 4, u32::try_from(begins).ok()?)?,
            _ => {
                put(bytes, self.tfdt + 4, (begins >> 32) as u32)?;
                put(bytes, self.tfdt + 8, begins as u32)?;
            }
        }
        if flags & TRUN_DURATION != 0 {
            let longer = u32_at(bytes, samples)?.checked_add(more)?;
            put(bytes, samples, longer)?;
            return Some(0);
        }
        // Its samples get durations of their own.
        let stride = self.run.stride();
        let fields = bytes.get(samples..samples + count as usize * stride)?;
        let mut timed = Vec::with_capacity(fields.len() + 4 * count as usize);
        for index in 0..count as usize {
            let duration = if index == 0 { self.default.checked_add(more)? } else { self.default };
            timed.extend(duration.to_be_bytes());
            timed.extend(&fields[index * stride..(index + 1) * stride]);
        }
        let old = samples..samples + fields.len();
        bytes.splice(old, timed);
        let version_and_flags = u32_at(bytes, self.run.outer.start + 8)? | TRUN_DURATION;
        put(bytes, self.run.outer.start + 8, version_and_flags)?;
        let grown = 4 * count as usize;
        for start in around.iter().chain([&self.run.outer.start]) {
            let size = u32_at(bytes, *start)?.checked_add(grown as u32)?;
            put(bytes, *start, size)?;
        }
        Some(grown)
    }
}

/// What the runs of a `moof` point to lies behind it, and so this much further than before.
fn shift_data(bytes: &mut [u8], moof: Range<usize>, by: i32) -> Option<()> {
    let trafs: Vec<_> = children(bytes, inner(bytes, &moof)?).filter(|found| found.kind == *b"traf").collect();
    for traf in trafs {
        let runs: Vec<_> = children(bytes, traf.inner).filter(|found| found.kind == *b"trun").collect();
        for run in runs {
            if u32_at(bytes, run.inner.start)? & TRUN_OFFSET != 0 {
                let at = run.inner.start + 8;
                let offset = (u32_at(bytes, at)? as i32).checked_add(by)?;
                put(bytes, at, offset as u32)?;
            }
        }
    }
    Some(())
}

/// A box in bytes.
#[derive(Clone, Debug)]
struct Found {
    kind: [u8; 4],
    outer: Range<usize>,
    inner: Range<usize>,
}

/// The boxes in a range, as far as they are whole; boxes of more than 4 GiB are not read.
fn children(bytes: &[u8], range: Range<usize>) -> impl Iterator<Item = Found> + use<'_> {
    let mut at = range.start;
    std::iter::from_fn(move || {
        let size = u32_at(bytes, at)? as usize;
        let end = at.checked_add(size).filter(|end| size >= 8 && *end <= range.end)?;
        let found = Found { kind: bytes[at + 4..at + 8].try_into().ok()?, outer: at..end, inner: at + 8..end };
        at = end;
        Some(found)
    })
    .take(BOXES_MAX)
}

fn find(bytes: &[u8], range: Range<usize>, kind: &[u8; 4]) -> Option<Found> {
    children(bytes, range).find(|found| found.kind == *kind)
}

fn inner(bytes: &[u8], outer: &Range<usize>) -> Option<Range<usize>> {
    (outer.end <= bytes.len() && outer.len() >= 8).then(|| outer.start + 8..outer.end)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

fn put(bytes: &mut [u8], at: usize, value: u32) -> Option<()> {
    bytes.get_mut(at..at.checked_add(4)?)?.copy_from_slice(&value.to_be_bytes());
    Some(())
}

/// The body of the fuzz target: whatever a publisher signs, rewriting it does not panic, and what comes out bridges the hole.
pub fn fuzz(data: &[u8]) {
    let Some((cut, rest)) = data.split_first() else { return };
    let (before, after) = rest.split_at(rest.len() * usize::from(*cut) / 256);
    if let Some(bridged) = bridge(before, before, after) {
        assert!(bridged.len() >= after.len(), "nothing is taken away");
    }
    if let Some(bridged) = bridge(&[], after, after) {
        assert!(bridged.len() >= after.len(), "nothing is taken away");
    }
}

#[cfg(test)]
mod tests;
