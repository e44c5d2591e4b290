//! Gathers fragments until they are worth a unit.

use bytes::{Bytes, BytesMut};
use peerstream_traits::ingest::{UNIT_BYTES_MAX, Unit};

/// A unit holds this much media, in microseconds.
pub const UNIT_US: i128 = 100_000;
/// Encoders with clocks of whole milliseconds give 33, 33 and 33 ms: that is 100 ms too.
const SLACK_US: i128 = 5_000;
/// A unit grows until it has this many bytes, because a smaller one is mostly header and signature.
pub const UNIT_BYTES_MIN: usize = 4096;
/// A unit of several fragments is never longer than this, in microseconds.
pub const UNIT_US_MAX: i128 = 500_000;

/// A fragment on the outgoing timeline; times in microseconds.
#[derive(Clone, Debug)]
pub struct Piece {
    /// The fragment with the boxes that belong to it.
    pub bytes: Bytes,
    /// The earliest start of its tracks.
    pub start: i128,
    /// The latest end of its tracks.
    pub end: i128,
    /// From and to of the track that cuts the units, if it is in here.
    pub leader: Option<(i128, i128)>,
    /// It holds pictures.
    pub video: bool,
    /// It begins with a key frame.
    pub key: bool,
    /// A viewer can start here.
    pub join: bool,
}

/// The unit that is being gathered.
#[derive(Debug, Default)]
pub struct Group {
    payload: BytesMut,
    span: Option<(i128, i128)>,
    leader: Option<(i128, i128)>,
    last_len: i128,
    video: bool,
    join: bool,
    discontinuity: bool,
    /// The start of the unit given out last.
    last_pts: u64,
}

impl Group {
    /// Whether what was gathered must be given out before this piece.
    pub fn must_end_before(&self, piece: &Piece) -> bool {
        let Some((start, end)) = self.span else { return false };
        // A little sound before a key frame goes with it: a unit of its own would be mostly header.
        let key = piece.key && (self.video || end - start >= UNIT_US);
        let long = piece.end.max(end) - start.min(piece.start) > UNIT_US_MAX;
        key || long || self.payload.len() + piece.bytes.len() > UNIT_BYTES_MAX
    }

    /// Adds a piece; `discontinuity` says that the timeline or the codec breaks before it.
    pub fn add(&mut self, piece: Piece, discontinuity: bool) {
        self.payload.extend_from_slice(&piece.bytes);
        self.span = merge(self.span, Some((piece.start, piece.end)));
        self.leader = merge(self.leader, piece.leader);
        self.last_len = piece.end - piece.start;
        self.video |= piece.video;
        self.join |= piece.join;
        self.discontinuity |= discontinuity;
    }

    /// Whether it is long and large enough.
    pub fn is_full(&self) -> bool {
        let Some((start, end)) = self.span else { return false };
        let (from, to) = self.leader.unwrap_or((start, end));
        let long = to - from >= UNIT_US - SLACK_US;
        long && self.payload.len() >= UNIT_BYTES_MIN || end - start + self.last_len > UNIT_US_MAX
    }

    /// The unit, if anything was gathered.
    pub fn take(&mut self) -> Option<Unit> {
        let (start, end) = self.leader.or(self.span)?;
        let pts_us = u64::try_from(start).unwrap_or(u64::MAX).max(self.last_pts);
        let unit = Unit {
            payload: self.payload.split().freeze(),
            pts_us,
            duration_us: u32::try_from(end - start).unwrap_or(u32::MAX),
            join_point: self.join,
            discontinuity: self.discontinuity,
        };
        *self = Self { last_pts: pts_us, payload: std::mem::take(&mut self.payload), ..Self::default() };
        Some(unit)
    }
}

fn merge(a: Option<(i128, i128)>, b: Option<(i128, i128)>) -> Option<(i128, i128)> {
    match (a, b) {
        (Some(a), Some(b)) => Some((a.0.min(b.0), a.1.max(b.1))),
        (a, b) => a.or(b),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(at_ms: i128, key: bool) -> Piece {
        let span = (at_ms * 1000, at_ms * 1000 + 33_333);
        let bytes = Bytes::from(vec![0; 3000]);
        Piece { bytes, start: span.0, end: span.1, leader: Some(span), video: true, key, join: key }
    }

    fn sound(at_ms: i128) -> Piece {
        let bytes = Bytes::from(vec![0; 200]);
        let (start, end) = (at_ms * 1000, at_ms * 1000 + 21_333);
        Piece { bytes, start, end, leader: None, video: false, key: false, join: false }
    }

    #[test]
    fn three_pictures_of_33_ms_are_a_unit() {
        let mut group = Group::default();
        group.add(picture(0, true), false);
        group.add(picture(33, false), false);
        assert!(!group.is_full());
        group.add(picture(66, false), false);
        assert!(group.is_full());
        assert!(group.take().unwrap().join_point);
        assert_eq!(group.take(), None);
    }

    #[test]
    fn a_little_sound_goes_with_the_key_frame_that_follows() {
        let mut group = Group::default();
        group.add(sound(980), false);
        let key = picture(1000, true);
        assert!(!group.must_end_before(&key));
        group.add(key, false);
        let unit = group.take().unwrap();
        assert_eq!((unit.pts_us, unit.join_point), (1_000_000, true));
    }

    #[test]
    fn a_key_frame_ends_the_unit_before_it() {
        let mut group = Group::default();
        group.add(picture(0, true), false);
        assert!(group.must_end_before(&picture(33, true)));
        assert!(!group.must_end_before(&picture(33, false)));
    }

    #[test]
    fn small_sound_is_gathered_until_half_a_second() {
        let mut group = Group::default();
        let count = (0..).take_while(|n| {
            group.add(sound(n * 21), false);
            !group.is_full()
        });
        assert_eq!(count.count(), 20);
        let unit = group.take().unwrap();
        assert!(unit.payload.len() >= UNIT_BYTES_MIN && i128::from(unit.duration_us) <= UNIT_US_MAX);
    }
}
