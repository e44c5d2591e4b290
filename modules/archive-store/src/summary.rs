//! What a recording holds, in a few words, so that a list need not read its index.

use std::io;

use peerstream_recording::GAPS_MAX;
use peerstream_sdk::prelude::*;
use peerstream_sdk::protocol::header::Flags;
use peerstream_sdk::traits::archive::Manifest;

use crate::index::{Index, Record};

/// The manifest, with what is only of interest here. `manifest.json` is a [`Manifest`] with more.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Summary {
    #[serde(flatten)]
    pub(crate) manifest: Manifest,
    /// What was before was deleted because it was too old or too much.
    #[serde(default)]
    pub(crate) kept_from: u64,
    /// Bytes of all blocks that are kept.
    #[serde(default)]
    pub(crate) bytes: u64,
    /// Records of the index that are counted in.
    #[serde(default)]
    counted: u64,
}

impl Summary {
    /// Counts one more segment.
    pub(crate) fn add(&mut self, record: &Record) {
        self.counted += 1;
        let manifest = &mut self.manifest;
        let seq = record.line.seq;
        if seq.0 < self.kept_from {
            return;
        }
        if self.bytes == 0 {
            (manifest.first, manifest.end) = (seq, seq);
        } else if record.follows_gap && seq > manifest.end {
            manifest.gaps.push((manifest.end, seq));
            bound(&mut manifest.gaps);
        }
        if record.line.flags.has(Flags::RESUMED) {
            manifest.resume(seq);
        }
        manifest.end = seq.next();
        manifest.ended = false;
        self.bytes += record.entry_len();
    }

    /// Counts what an index holds beyond what was counted, or all of it anew when that does not fit together.
    pub(crate) fn catch_up(&mut self, index: &Index) -> io::Result<()> {
        let mut from = self.counted as usize;
        if from > index.len() {
            *self = Self { kept_from: self.kept_from, ..Self::default() };
            from = 0;
        }
        index.each(from, |record| {
            self.add(&record);
            true
        })
    }

    /// Takes over what the framework knows beyond what was kept: what was lost before the first and after the last segment.
    pub(crate) fn close(&mut self, told: &Manifest) {
        let manifest = &mut self.manifest;
        manifest.ended = told.ended;
        if self.bytes == 0 {
            *manifest = told.clone();
            return;
        }
        // What was deleted since is no gap.
        if told.first < manifest.first && self.kept_from == 0 {
            manifest.gaps.insert(0, (told.first, manifest.first));
            manifest.first = told.first;
        }
        if told.end > manifest.end {
            manifest.gaps.push((manifest.end, told.end));
            manifest.end = told.end;
        }
        bound(&mut manifest.gaps);
    }

    /// So many records are not in the index any more. Should a crash come before this is written down, all is counted anew.
    pub(crate) fn uncount(&mut self, records: usize) {
        self.counted = self.counted.saturating_sub(records as u64);
    }

    /// What was before this number is not kept any more.
    pub(crate) fn forget(&mut self, kept_from: u64, bytes: u64) {
        self.kept_from = kept_from;
        self.bytes = self.bytes.saturating_sub(bytes);
        let manifest = &mut self.manifest;
        let first = Seq(kept_from);
        manifest.first = manifest.first.max(first);
        manifest.end = manifest.end.max(first);
        manifest.gaps.retain_mut(|(from, to)| {
            *from = (*from).max(first);
            *from < *to
        });
        manifest.resumed.retain(|seq| *seq >= first);
    }
}

/// Of too many gaps those that are closest to each other count as one: rather a few segments too many are called missing than a gap is not
/// named.
fn bound(gaps: &mut Vec<(Seq, Seq)>) {
    while gaps.len() > GAPS_MAX {
        let distance = |at: &usize| gaps[at + 1].0.0 - gaps[*at].1.0;
        let closest = (0..gaps.len() - 1).min_by_key(distance).expect("there are more than one");
        gaps[closest].1 = gaps[closest + 1].1;
        gaps.remove(closest + 1);
    }
}

#[cfg(test)]
mod tests {
    use peerstream_sdk::traits::archive::{InitId, Line};

    use super::*;

    fn record(seq: u64, follows_gap: bool) -> Record {
        let line = Line {
            seq: Seq(seq),
            wall_us: 0,
            pts_us: 0,
            duration_us: 0,
            flags: Flags::JOIN_POINT,
            init: InitId::NONE,
            payload_len: 10,
            withheld: false,
        };
        Record { line, block: 0, at: 0, header_len: 5, follows_gap, header_sum: [0; 8] }
    }

    fn told(first: u64, end: u64) -> Manifest {
        Manifest { first: Seq(first), end: Seq(end), gaps: vec![], ended: true, resumed: vec![] }
    }

    #[test]
    fn gaps_are_named_whoever_noticed_them_and_a_hole_without_a_word_is_none() {
        let mut summary = Summary::default();
        for (seq, gap) in [(3, false), (4, false), (7, true), (9, false)] {
            summary.add(&record(seq, gap));
        }
        summary.close(&told(1, 12));
        let gaps = [(1, 3), (5, 7), (10, 12)].map(|(from, to)| (Seq(from), Seq(to)));
        assert_eq!(summary.manifest, Manifest { gaps: gaps.to_vec(), ..told(1, 12) });
        // It goes on behind the gap that it paused with.
        summary.add(&record(12, true));
        summary.add(&record(15, true));
        assert_eq!(summary.manifest.gaps[2..], [(Seq(10), Seq(12)), (Seq(13), Seq(15))]);
        assert!(!summary.manifest.ended);
    }

    #[test]
    fn what_is_not_kept_any_more_is_no_gap() {
        let mut summary = Summary::default();
        for (seq, gap) in [(0, false), (5, true), (9, true)] {
            summary.add(&record(seq, gap));
        }
        summary.forget(7, 100);
        assert_eq!((summary.manifest.first, &summary.manifest.gaps[..]), (Seq(7), &[(Seq(7), Seq(9))][..]));
        summary.close(&told(0, 10));
        assert_eq!((summary.manifest.first, summary.manifest.gaps.len()), (Seq(7), 1));
    }

    #[test]
    fn where_a_broadcast_goes_on_after_its_host_was_cut_short_is_named_with_or_without_a_gap() {
        let mut summary = Summary::default();
        for (seq, gap, resumed) in [(0, false, false), (1, false, true), (5, true, true), (7, true, false)] {
            let mut record = record(seq, gap);
            record.line.flags = if resumed { Flags::RESUMED } else { Flags::default() };
            summary.add(&record);
        }
        assert_eq!(summary.manifest.resumed, [Seq(1), Seq(5)]);
        assert_eq!(summary.manifest.gaps, [(Seq(2), Seq(5)), (Seq(6), Seq(7))]);
        summary.forget(4, 10);
        assert_eq!(summary.manifest.resumed, [Seq(5)]);
    }

    #[test]
    fn gaps_are_bounded_and_none_is_forgotten() {
        let mut summary = Summary::default();
        (0..2 * GAPS_MAX as u64).for_each(|n| summary.add(&record(n * 3 + n % 2, n > 0)));
        assert_eq!(summary.manifest.gaps.len(), GAPS_MAX);
        assert!(summary.manifest.names(Seq(1)) && summary.manifest.names(Seq(6 * GAPS_MAX as u64 - 4)));
    }
}
