//! The segments a node retains: to play, to forward, to repair others.

use std::collections::VecDeque;

use peerstream_protocol::bitmap::Bitmap;
use peerstream_protocol::crypto::Hash;
use peerstream_protocol::crypto::Verifier;
use peerstream_protocol::frame::{PIECE_PREFIX, piece_prefix};
use peerstream_protocol::header::{Flags, Header};
use peerstream_protocol::id::Seq;
use peerstream_protocol::segment::Kind;
use peerstream_protocol::time::Micros;

use crate::kept::Kept;
use crate::starter::Stored;

/// Media is retained for this long (source clock), and always since the last join point.
const RETAIN_MEDIA: Micros = Micros::from_secs(6);
/// Data is retained for this long (source clock).
const RETAIN_DATA: Micros = Micros::from_secs(10);
/// Bytes of payload retained at most, except that the newest segment always is.
const RETAIN_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Segments retained at most.
const RETAIN_SEGMENTS_MAX: usize = 4096;
/// The bitrate is known from this many segments on.
const BITRATE_SPAN_MIN: u64 = 3;
/// Buffers kept for reuse, so that a steady stream allocates nothing.
const SPARE_BUFFERS_MAX: usize = 8;

/// One retained segment: its verified header and the pieces verified so far.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) header: Header,
    /// What the next header's `prev` must be.
    pub(crate) chain: Hash,
    pub(crate) have: Bitmap,
    missing: usize,
    /// Piece frames ready to forward, each in a slot of prefix and piece size.
    frames: Vec<u8>,
    pub(crate) since: Micros,
    /// When the last new piece came.
    pub(crate) touched: Micros,
}

impl Segment {
    /// A segment without its pieces, which go into `buffer`.
    pub(crate) fn new(header: Header, chain: Hash, now: Micros, mut buffer: Vec<u8>) -> Self {
        let missing = header.core.piece_count();
        // Only the last slot is shorter than the others.
        let needed = missing * PIECE_PREFIX + header.core.payload_len as usize;
        if buffer.len() < needed {
            buffer.resize(needed, 0);
        }
        Self { header, chain, have: Bitmap::default(), missing, frames: buffer, since: now, touched: now }
    }

    /// Bytes of memory, about.
    pub(crate) fn cost(&self) -> usize {
        self.frames.len() + self.header.hashes.len() * size_of::<Hash>() + size_of::<Self>()
    }

    /// The memory of its pieces, for another one.
    pub(crate) fn into_buffer(self) -> Vec<u8> {
        self.frames
    }

    /// Checks a piece and keeps it.
    pub(crate) fn take(&mut self, index: u8, bytes: &[u8], verifier: &mut impl Verifier, now: Micros) -> Stored {
        if self.have.contains(index) {
            return Stored::Repeated;
        }
        let expected = self.header.hashes.get(usize::from(index));
        let right_size = self.header.core.piece_len(index) == bytes.len();
        if !right_size || expected != Some(&verifier.hash(bytes)) {
            return Stored::Forged;
        }
        self.store(index, bytes, now);
        Stored::Kept { completes: self.is_complete() }
    }

    pub(crate) fn is_complete(&self) -> bool {
        self.missing == 0
    }

    pub(crate) fn is_join_point(&self) -> bool {
        self.header.core.flags.has(Flags::JOIN_POINT)
    }

    pub(crate) fn payload_len(&self) -> usize {
        self.header.core.payload_len as usize
    }

    fn slot(&self, index: u8) -> usize {
        usize::from(index) * (PIECE_PREFIX + self.header.core.piece_size.bytes())
    }

    /// The frame of a piece that is there.
    pub(crate) fn frame(&self, index: u8) -> Option<&[u8]> {
        if !self.have.contains(index) {
            return None;
        }
        let start = self.slot(index);
        self.frames.get(start..start + PIECE_PREFIX + self.header.core.piece_len(index))
    }

    /// Appends the whole payload.
    pub(crate) fn copy_payload(&self, out: &mut Vec<u8>) {
        let count = self.header.core.piece_count();
        out.reserve(self.payload_len());
        (0..count).filter_map(|index| self.frame(index as u8)).for_each(|frame| out.extend(&frame[PIECE_PREFIX..]));
    }

    /// Keeps a verified piece; its length has been checked.
    pub(crate) fn store(&mut self, index: u8, bytes: &[u8], now: Micros) {
        let start = self.slot(index);
        let seq = self.header.core.seq;
        self.frames[start..start + PIECE_PREFIX].copy_from_slice(&piece_prefix(seq, index));
        self.frames[start + PIECE_PREFIX..][..bytes.len()].copy_from_slice(bytes);
        if self.have.insert(index) {
            self.missing -= 1;
        }
        self.touched = now;
    }
}

/// Retained segments by number: one slot for each from the first to the newest, empty where a segment is missing.
#[derive(Debug, Default)]
pub(crate) struct Window {
    slots: VecDeque<Option<Segment>>,
    /// The number of the first slot.
    base: Seq,
    spare: Vec<Vec<u8>>,
    /// How many segments are retained, and the bytes of their payloads.
    count: usize,
    bytes: usize,
    /// Segments up to here have been retained and let go.
    evicted_to: Seq,
}

impl Window {
    fn slot(&self, seq: Seq) -> Option<usize> {
        let slot = usize::try_from(seq.0.checked_sub(self.base.0)?).ok()?;
        (slot < self.slots.len()).then_some(slot)
    }

    fn numbered(&self, slots: std::ops::Range<usize>) -> impl DoubleEndedIterator<Item = (Seq, &Segment)> {
        let base = self.base.0 + slots.start as u64;
        let slots = self.slots.range(slots).enumerate();
        slots.filter_map(move |(at, segment)| Some((Seq(base + at as u64), segment.as_ref()?)))
    }

    pub(crate) fn get(&self, seq: Seq) -> Option<&Segment> {
        self.slots[self.slot(seq)?].as_ref()
    }

    pub(crate) fn get_mut(&mut self, seq: Seq) -> Option<&mut Segment> {
        let slot = self.slot(seq)?;
        self.slots[slot].as_mut()
    }

    /// Payload bytes that the retained segments take up when whole.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Payload bytes per second of the stream, by the headers that are here; none while they are few.
    pub(crate) fn bitrate(&self) -> Option<u64> {
        let ((newest, last), first) = (self.newest()?, self.slots.front()?.as_ref()?);
        let span = newest.0 - self.base.0;
        let time = last.header.core.wall_us.checked_sub(first.header.core.wall_us).filter(|time| *time > 0)?;
        // What came in this time is what came after the first one.
        let (count, bytes) = (self.count as u64 - 1, (self.bytes - first.payload_len()) as u64);
        (span >= BITRATE_SPAN_MIN && count > 0).then(|| bytes * span / count * 1_000_000 / time)
    }

    /// Segments from `seq` on, in order.
    pub(crate) fn from(&self, seq: Seq) -> impl DoubleEndedIterator<Item = (Seq, &Segment)> {
        let skipped = usize::try_from(seq.0.saturating_sub(self.base.0)).unwrap_or(usize::MAX).min(self.slots.len());
        self.numbered(skipped..self.slots.len())
    }

    pub(crate) fn newest(&self) -> Option<(Seq, &Segment)> {
        let newest = self.slots.back()?.as_ref().expect("the last slot is filled");
        Some((newest.header.core.seq, newest))
    }

    /// The number of the first segment that could still be here.
    pub(crate) fn first(&self) -> Seq {
        if self.slots.is_empty() { self.evicted_to } else { self.base }
    }

    pub(crate) fn is_evicted(&self, seq: Seq) -> bool {
        seq < self.evicted_to
    }

    /// The newest join point.
    pub(crate) fn join_point(&self) -> Option<Seq> {
        self.numbered(0..self.slots.len()).rev().find(|(_, segment)| segment.is_join_point()).map(|(seq, _)| seq)
    }

    /// The newest join point that was taken in by this time of the source's wall clock, else the oldest one.
    pub(crate) fn join_point_up_to(&self, edge_us: u64) -> Option<Seq> {
        let joins = || self.numbered(0..self.slots.len()).filter(|(_, segment)| segment.is_join_point());
        let by_then = joins().rev().find(|(_, segment)| segment.header.core.wall_us <= edge_us);
        by_then.or_else(|| joins().next()).map(|(seq, _)| seq)
    }

    /// The first join point from `seq` on.
    pub(crate) fn join_point_from(&self, seq: Seq) -> Option<Seq> {
        self.from(seq).find(|(_, segment)| segment.is_join_point()).map(|(seq, _)| seq)
    }

    /// Opens a segment for its pieces. A number that is already here, or too far from those that are, is left alone.
    pub(crate) fn insert(&mut self, header: Header, chain: Hash, now: Micros) {
        let Some(slot) = self.make_slot(header.core.seq) else { return };
        let needed = header.core.piece_count() * PIECE_PREFIX + header.core.payload_len as usize;
        // A buffer much larger than the segment would be memory that no bound sees.
        let buffer = self.spare.pop().filter(|spare| spare.len() <= needed * 2).unwrap_or_default();
        self.count += 1;
        self.bytes += header.core.payload_len as usize;
        self.slots[slot] = Some(Segment::new(header, chain, now, buffer));
    }

    /// Takes a segment out that is not to be given to anybody; the newest one stays.
    pub(crate) fn remove(&mut self, seq: Seq) {
        let Some(slot) = self.slot(seq).filter(|slot| slot + 1 < self.slots.len()) else { return };
        if let Some(segment) = self.slots[slot].take() {
            self.count -= 1;
            self.bytes -= segment.payload_len();
        }
        self.drop_empty_front();
    }

    /// The empty slot of this number. What lies behind a gap beyond all bounds is let go.
    fn make_slot(&mut self, seq: Seq) -> Option<usize> {
        if self.newest().is_some_and(|(newest, _)| seq.0.saturating_sub(newest.0) > RETAIN_SEGMENTS_MAX as u64) {
            self.evicted_to = self.base.max(Seq(self.base.0 + self.slots.len() as u64));
            (self.slots, self.count, self.bytes) = (VecDeque::new(), 0, 0);
        }
        if self.slots.is_empty() {
            self.base = seq;
        }
        if self.base.0.saturating_sub(seq.0) > RETAIN_SEGMENTS_MAX as u64 {
            return None;
        }
        while seq < self.base {
            self.slots.push_front(None);
            self.base = Seq(self.base.0 - 1);
        }
        let slot = (seq.0 - self.base.0) as usize;
        if self.slots.len() <= slot {
            self.slots.resize_with(slot + 1, || None);
        }
        self.slots[slot].is_none().then_some(slot)
    }

    /// Lets go of what need not be retained; what is whole goes to what is kept, as far as that takes it. True when something
    /// went.
    pub(crate) fn evict(&mut self, kind: Kind, kept: &mut Kept) -> bool {
        let before = self.evicted_to;
        while self.first_is_old(kind) {
            if let Some(segment) = self.slots.pop_front().flatten() {
                self.count -= 1;
                self.bytes -= segment.payload_len();
                for gone in kept.keep(segment) {
                    if self.spare.len() < SPARE_BUFFERS_MAX {
                        self.spare.push(gone.into_buffer());
                    }
                }
            }
            self.base = self.base.next();
            self.evicted_to = self.base;
            self.drop_empty_front();
        }
        self.evicted_to != before
    }

    /// The first slot is filled, so that the first segment is what its number says.
    fn drop_empty_front(&mut self) {
        while self.slots.front().is_some_and(Option::is_none) {
            self.slots.pop_front();
            self.base = self.base.next();
        }
    }

    fn first_is_old(&self, kind: Kind) -> bool {
        let (Some(first), Some((newest_seq, newest))) = (self.slots.front(), self.newest()) else { return false };
        let Some(first) = first else { return true };
        let seq = first.header.core.seq;
        if seq == newest_seq {
            return false;
        }
        if self.bytes > RETAIN_BYTES_MAX || self.slots.len() > RETAIN_SEGMENTS_MAX {
            return true;
        }
        let age = Micros(newest.header.core.wall_us).since(Micros(first.header.core.wall_us));
        match kind {
            Kind::Data => age > RETAIN_DATA,
            Kind::Media => age > RETAIN_MEDIA && self.join_point().is_some_and(|join| seq < join),
        }
    }
}

#[cfg(test)]
mod tests {
    use peerstream_protocol::crypto::Signature;
    use peerstream_protocol::header::Core;
    use peerstream_protocol::segment::{InitId, PieceSize};
    use proptest::prelude::*;

    use super::*;

    fn header(seq: u64, payload_len: u32) -> Header {
        let core = Core {
            seq: Seq(seq),
            kind: Kind::Data,
            flags: Flags::default(),
            pts_us: 0,
            duration_us: 0,
            wall_us: 1 + seq * 1_000_000,
            init: InitId::NONE,
            payload_len,
            piece_size: PieceSize::Kib4,
            prev: Hash::default(),
        };
        Header { hashes: vec![Hash::default(); core.piece_count()], core, signature: Signature::from_bytes(&[0; 64]) }
    }

    proptest! {
        #[test]
        fn the_bitrate_is_that_of_the_segments_that_are_here(
            steps in prop::collection::vec((0_u8..5, 0_u64..40, 1_u32..5_000), 1..80),
        ) {
            let (mut window, mut kept) = (Window::default(), Kept::default());
            for (step, seq, len) in steps {
                match step {
                    0 => window.remove(Seq(seq)),
                    1 => _ = window.evict(Kind::Data, &mut kept),
                    _ => window.insert(header(seq, len), Hash::default(), Micros(0)),
                }
                let here: Vec<_> = window.from(Seq(0)).map(|(seq, segment)| (seq.0, segment.payload_len() as u64)).collect();
                prop_assert_eq!(window.bytes() as u64, here.iter().map(|(_, len)| len).sum::<u64>());
                let span = here.last().map_or(0, |last| last.0 - here[0].0);
                let later: Vec<_> = here.iter().skip(1).map(|(_, len)| *len).collect();
                // One segment a second: bytes per segment are bytes per second.
                let mean = || later.iter().sum::<u64>() * span / later.len() as u64 / span;
                prop_assert_eq!(window.bitrate(), (span >= BITRATE_SPAN_MIN).then(mean));
            }
        }
    }
}
