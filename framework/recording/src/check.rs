//! Verifies a recording item by item.

use std::collections::BTreeSet;

use peerstream_protocol::crypto::{Hash, PublicKey, Strict, hash};
use peerstream_protocol::header::{Context, Flags, Header};
use peerstream_protocol::id::Seq;
use peerstream_protocol::segment::InitId;

use crate::finding::FINDINGS_MAX;
use crate::{Fault, Finding, Manifest, Report, Resumption, StreamMeta, UnprovenMeta};

/// Inits that are remembered; a broadcast has one for each codec and each title.
pub const INITS_MAX: usize = 65_536;

/// What is there of a segment's payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payload<'a> {
    /// All of it.
    Whole(&'a [u8]),
    /// It is hidden or erased; the header alone is verified.
    Withheld,
}

/// Numbers that did not come where they belong: `first` included and `end` not.
#[derive(Clone, Copy, Debug)]
struct Hole {
    first: Seq,
    end: Seq,
    /// The time of the last segment before it.
    at_us: Option<u64>,
}

/// Bytes of two hashes that are the same, from which on the one is the other with a few bytes changed.
const SAME_BYTES_MIN: usize = 16;

/// Verifies a recording: every signature, every piece of every payload, the chain of headers, and the inits. Items go in as they stand;
/// what is wrong is in the [`Report`].
#[derive(Debug)]
pub struct Check {
    key: PublicKey,
    context: Context,
    manifest: Option<Manifest>,
    verifier: Strict,
    /// The number after the last genuine one, and its hash, which the next one names as `prev`; no hash when it is not known.
    tip: Option<(Seq, Option<Hash>)>,
    /// Numbers that were passed over and may still come, in order.
    passed: Vec<Hole>,
    inits: BTreeSet<InitId>,
    /// Inits that were asked for and found wanting, each told once.
    wanting: BTreeSet<InitId>,
    last_us: Option<u64>,
    report: Report,
}

impl Check {
    /// Begins with the word on the broadcast, which must prove itself. Without a manifest every hole counts as missing, and any first
    /// number is right, as in an excerpt.
    pub fn new(meta: &StreamMeta, manifest: Option<Manifest>) -> Result<Self, UnprovenMeta> {
        let (key, context) = meta.prove()?;
        Ok(Self {
            key,
            context,
            manifest,
            verifier: Strict::default(),
            tip: None,
            passed: Vec::new(),
            inits: BTreeSet::new(),
            wanting: BTreeSet::new(),
            last_us: None,
            report: Report::default(),
        })
    }

    /// An init, under the id that it is kept by.
    pub fn init(&mut self, id: InitId, encoded: &[u8]) {
        if InitId::of(encoded) != id {
            return self.find(None, Fault::InitAltered { id });
        }
        if self.inits.len() < INITS_MAX {
            self.inits.insert(id);
        } else {
            self.find(None, Fault::InitsTooMany);
        }
    }

    /// The next segment as it stands: its encoded header and its payload.
    pub fn segment(&mut self, encoded: &[u8], payload: Payload<'_>) {
        let Ok(header) = Header::decode(encoded) else {
            let expected = self.tip.map(|(seq, _)| seq);
            self.find(expected, Fault::Unreadable);
            return self.lose_track();
        };
        match header.verify(&self.key, &self.context, &mut self.verifier) {
            Some(hash) => self.genuine(&header, hash, payload),
            None => self.forged(&header),
        }
    }

    /// The end. What is missing up to the end that the manifest names is missing too.
    pub fn finish(mut self) -> Report {
        if let Some((first, end)) = self.manifest.as_ref().map(|manifest| (manifest.first, manifest.end)) {
            let tip = self.tip.map_or(first, |(tip, _)| tip);
            if tip < end {
                self.pass_over(tip, end, self.last_us);
            }
        }
        std::mem::take(&mut self.passed).into_iter().for_each(|hole| self.split(hole));
        self.report
    }

    /// What is wrong so far, for those who stop early.
    pub fn so_far(&self) -> &Report {
        &self.report
    }

    fn genuine(&mut self, header: &Header, hash: Hash, payload: Payload<'_>) {
        let core = &header.core;
        let (seq, wall_us) = (core.seq, core.wall_us);
        let before_us = self.last_us.replace(wall_us);
        let tip = match (self.tip, &self.manifest) {
            (Some((tip, _)), _) => tip,
            (None, Some(manifest)) => manifest.first.min(seq),
            (None, None) => seq,
        };
        self.check_init(seq, wall_us, core.init);
        if seq < tip {
            return self.late(header, payload);
        }
        if seq > tip {
            self.pass_over(tip, seq, before_us);
        } else if let Some((_, Some(prev))) = self.tip
            && core.prev != prev
        {
            self.find_at(seq, wall_us, Fault::ChainBroken);
        }
        if core.flags.has(Flags::RESUMED) && self.report.resumed.len() < crate::GAPS_MAX {
            let began_us = wall_us.saturating_sub(core.duration_us.into());
            let pause_us = before_us.map_or(0, |before| began_us.saturating_sub(before));
            self.report.resumed.push(Resumption { seq, at_us: wall_us, pause_us, missing_from: tip });
        }
        self.tip = Some((seq.next(), Some(hash)));
        self.check_payload(header, payload);
        let report = &mut self.report;
        report.ended = core.flags.has(Flags::END);
        report.seqs = Some((report.seqs.map_or(seq, |(first, _)| first), seq));
        report.wall_us = Some((report.wall_us.map_or(wall_us, |(first, _)| first), wall_us));
    }

    /// A genuine one behind later ones: out of its place, or there twice.
    fn late(&mut self, header: &Header, payload: Payload<'_>) {
        let (seq, wall_us) = (header.core.seq, header.core.wall_us);
        let is_before_all = self.report.seqs.is_some_and(|(first, _)| seq < first);
        if self.take_passed(seq) || is_before_all {
            self.find_at(seq, wall_us, Fault::Reordered);
            self.check_payload(header, payload);
        } else {
            self.find_at(seq, wall_us, Fault::Doubled);
        }
    }

    fn check_payload(&mut self, header: &Header, payload: Payload<'_>) {
        let core = &header.core;
        let Payload::Whole(payload) = payload else {
            self.report.withheld += 1;
            return;
        };
        let piece_size = core.piece_size.bytes();
        let pieces = payload.chunks(piece_size);
        let wrong = pieces.zip(&header.hashes).position(|(piece, expected)| hash(piece) != *expected);
        let wrong = wrong.or_else(|| {
            (payload.len() != core.payload_len as usize)
                .then(|| payload.len().min(core.payload_len as usize) / piece_size)
        });
        match wrong {
            Some(piece) => {
                let from = (piece * piece_size) as u64;
                let to = from + piece_size as u64;
                self.find_at(core.seq, core.wall_us, Fault::PayloadAltered { from, to });
            }
            None => {
                self.report.whole += 1;
                self.report.payload_bytes += payload.len() as u64;
            }
        }
    }

    fn check_init(&mut self, seq: Seq, wall_us: u64, id: InitId) {
        let is_there = id == InitId::NONE || self.inits.contains(&id);
        if !is_there && self.wanting.len() < INITS_MAX && self.wanting.insert(id) {
            self.find_at(seq, wall_us, Fault::InitMissing { id });
        }
    }

    /// A header that is not signed. Where it belongs in the chain it was ours once, with one field or another changed since;
    /// elsewhere it never was.
    fn forged(&mut self, header: &Header) {
        let core = &header.core;
        let (expected, belongs) = match (self.tip, &self.manifest) {
            (Some((tip, Some(prev))), _) => {
                let same = core.prev.iter().zip(&prev).filter(|(one, other)| one == other).count();
                (Some(tip), same == prev.len() || core.seq == tip && same >= SAME_BYTES_MIN)
            }
            (Some((tip, None)), _) => (Some(tip), core.seq == tip),
            (None, Some(manifest)) => (Some(manifest.first), core.seq == manifest.first),
            (None, None) => (None, true),
        };
        if belongs {
            self.find(expected.or(Some(core.seq)), Fault::HeaderAltered);
            self.lose_track();
        } else {
            self.find(Some(core.seq), Fault::Foreign);
        }
    }

    /// One segment stands here that cannot be trusted: it is told already, so it is not missing too, and what follows it names a hash
    /// that nobody knows.
    fn lose_track(&mut self) {
        let tip = self.tip.map(|(seq, _)| seq).or(self.manifest.as_ref().map(|manifest| manifest.first));
        self.tip = tip.map(|seq| (seq.next(), None));
    }

    /// Numbers that do not come where they belong.
    fn pass_over(&mut self, first: Seq, end: Seq, at_us: Option<u64>) {
        let hole = Hole { first, end, at_us };
        if self.passed.len() < FINDINGS_MAX {
            self.passed.push(hole);
        } else {
            // What is passed over now cannot come later any more.
            self.split(hole);
        }
    }

    /// Takes a number out of what was passed over; whether it was there.
    fn take_passed(&mut self, seq: Seq) -> bool {
        let found = self.passed.iter().position(|hole| (hole.first..hole.end).contains(&seq));
        let Some(at) = found else { return false };
        let hole = self.passed.remove(at);
        for half in [Hole { first: seq.next(), ..hole }, Hole { end: seq, ..hole }] {
            if half.first < half.end {
                self.passed.insert(at, half);
            }
        }
        true
    }

    /// Tells of a hole: what the manifest names is a gap, the rest is missing.
    fn split(&mut self, hole: Hole) {
        let mut at = hole.first;
        while at < hole.end {
            let (first, end) =
                self.manifest.as_ref().map_or((hole.end, hole.end), |manifest| next_gap(manifest, at, hole.end));
            if at < first {
                self.tell(Finding { seq: Some(at), at_us: hole.at_us, fault: Fault::Missing { end: first } });
            }
            if first < end {
                self.name_gap(first, end);
            }
            at = end;
        }
    }

    fn name_gap(&mut self, first: Seq, end: Seq) {
        let gaps = &mut self.report.gaps;
        let is_full = gaps.len() == crate::GAPS_MAX;
        match gaps.last_mut() {
            Some(last) if is_full => last.1 = end,
            _ => gaps.push((first, end)),
        }
    }

    fn find(&mut self, seq: Option<Seq>, fault: Fault) {
        let at_us = self.last_us;
        self.tell(Finding { seq, at_us, fault });
    }

    fn find_at(&mut self, seq: Seq, wall_us: u64, fault: Fault) {
        self.tell(Finding { seq: Some(seq), at_us: Some(wall_us), fault });
    }

    fn tell(&mut self, finding: Finding) {
        if self.report.findings.len() < FINDINGS_MAX {
            self.report.findings.push(finding);
        } else {
            self.report.findings_dropped += 1;
        }
    }
}

/// The first gap that a manifest names between two numbers, cut to them; an empty one at the end when there is none.
fn next_gap(manifest: &Manifest, at: Seq, end: Seq) -> (Seq, Seq) {
    // A manifest that a hand has changed may name them in any order.
    let cut = manifest.gaps.iter().map(|(first, to)| ((*first).max(at), (*to).min(end)));
    cut.filter(|(first, to)| first < to).min().unwrap_or((end, end))
}
