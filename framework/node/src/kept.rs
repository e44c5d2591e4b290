//! What a node keeps of the stream beyond its window, for those who go back in time: the newest whole segments that fit.

use std::collections::VecDeque;

use peerstream_protocol::id::Seq;
use peerstream_protocol::segment::InitId;
use peerstream_protocol::time::Micros;
use peerstream_protocol::withheld::Withheld;

use crate::io::Keeping;
use crate::window::Segment;

/// Segments kept at most, however small.
const KEPT_SEGMENTS_MAX: usize = 16_384;

/// Whole segments older than the window, in order; some may be missing between them.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    segments: VecDeque<Segment>,
    bytes: usize,
    bounds: Keeping,
    withheld: Withheld,
}

impl Kept {
    /// Other bounds from now on.
    pub(crate) fn bound(&mut self, bounds: Keeping) {
        self.bounds = bounds;
        self.evict();
    }

    /// Keeps a segment that the window lets go of. What goes for that, or is not kept at all, comes back.
    pub(crate) fn keep(&mut self, segment: Segment) -> impl Iterator<Item = Segment> + use<> {
        let core = &segment.header.core;
        let newer = self.newest().is_none_or(|newest| newest < core.seq);
        if !segment.is_complete() || !newer || self.bounds.bytes_max == 0 || self.withheld.has(core.seq) {
            return Some(segment).into_iter().chain(None);
        }
        self.bytes += segment.cost();
        self.segments.push_back(segment);
        let gone = self.evict();
        None.into_iter().chain(gone)
    }

    fn newest(&self) -> Option<Seq> {
        self.segments.back().map(|segment| segment.header.core.seq)
    }

    /// Lets go of the oldest until the rest is within the bounds; the last one that went.
    fn evict(&mut self) -> Option<Segment> {
        let mut gone = None;
        while self.is_beyond() {
            gone = self.segments.pop_front();
            self.bytes -= gone.as_ref().map_or(0, Segment::cost);
        }
        gone
    }

    fn is_beyond(&self) -> bool {
        let beyond = self.bytes > self.bounds.bytes_max || self.segments.len() > KEPT_SEGMENTS_MAX;
        !self.segments.is_empty() && (beyond || self.span() > self.bounds.span)
    }

    pub(crate) fn get(&self, seq: Seq) -> Option<&Segment> {
        let at = self.segments.binary_search_by_key(&seq, |segment| segment.header.core.seq).ok()?;
        self.segments.get(at)
    }

    /// The segments, oldest first.
    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = &Segment> {
        self.segments.iter()
    }

    /// The first segment.
    pub(crate) fn first(&self) -> Option<Seq> {
        self.segments.front().map(|segment| segment.header.core.seq)
    }

    /// From the first segment to the last one by the source's clock.
    pub(crate) fn span(&self) -> Micros {
        let wall = |segment: Option<&Segment>| segment.map_or(0, |segment| segment.header.core.wall_us);
        Micros(wall(self.segments.back()).saturating_sub(wall(self.segments.front())))
    }

    /// Bytes of memory.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether any segment needs this init.
    pub(crate) fn needs(&self, init: InitId) -> bool {
        self.segments.iter().any(|segment| segment.header.core.init == init)
    }

    /// Drops what is withheld, and keeps nothing of it from now on.
    pub(crate) fn withhold(&mut self, withheld: &Withheld) {
        self.withheld.clone_from(withheld);
        self.segments.retain(|segment| !withheld.has(segment.header.core.seq));
        self.bytes = self.segments.iter().map(Segment::cost).sum();
    }

    /// Forgets all of it; the bounds stay.
    pub(crate) fn clear(&mut self) {
        *self = Self { bounds: self.bounds, ..Self::default() };
    }
}
