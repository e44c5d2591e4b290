//! What waits to be pushed: bounded in bytes, whole groups of pictures, and nobody ever waits to put something in.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard};

use bytes::Bytes;
use tokio::sync::Notify;

/// A piece of the broadcast.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// The codec header of what follows, and its media type.
    Init {
        /// Such as `video/mp4; codecs="avc1.64001f,mp4a.40.2"`.
        mime: String,
        bytes: Bytes,
    },
    /// Media.
    Segment {
        /// A decoder can begin here.
        joins: bool,
        bytes: Bytes,
    },
    /// The broadcast is over, or pauses.
    Pause,
}

/// Pieces in order.
#[derive(Debug)]
pub(crate) struct Backlog {
    bytes_max: usize,
    inner: Mutex<Inner>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Inner {
    pieces: VecDeque<Piece>,
    bytes: usize,
    /// Something was left out: what comes next must be a place where a decoder can begin.
    broken: bool,
    pushed: u64,
    dropped: u64,
}

/// What a piece costs beside its bytes.
const PIECE_BYTES: usize = 128;

impl Piece {
    fn cost(&self) -> usize {
        PIECE_BYTES
            + match self {
                Self::Init { bytes, .. } | Self::Segment { bytes, .. } => bytes.len(),
                Self::Pause => 0,
            }
    }
}

impl Backlog {
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self { bytes_max, inner: Mutex::default(), changed: Notify::new() }
    }

    /// Puts a piece in; false if it was left out. A header or a pause always comes in: between two segments there is at most one of
    /// each, so that they are few.
    pub(crate) fn push(&self, piece: Piece) -> bool {
        let mut inner = self.lock();
        let takes = match piece {
            Piece::Segment { joins, .. } => {
                let takes = inner.bytes + piece.cost() <= self.bytes_max && (joins || !inner.broken);
                inner.broken = !takes;
                if takes {
                    inner.push(piece);
                } else {
                    inner.dropped += 1;
                }
                takes
            }
            turn => {
                inner.turn(turn);
                true
            }
        };
        drop(inner);
        self.changed.notify_one();
        takes
    }

    /// The next piece. Safe to cancel.
    pub(crate) async fn next(&self) -> Piece {
        loop {
            let changed = self.changed.notified();
            if let Some(piece) = self.lock().pop() {
                return piece;
            }
            changed.await;
        }
    }

    /// Leaves out all segments that wait, but no header: there is nobody to take them.
    pub(crate) fn skip(&self) {
        let mut inner = self.lock();
        for piece in std::mem::take(&mut inner.pieces) {
            if !matches!(piece, Piece::Segment { .. }) {
                inner.turn(piece);
            }
        }
        inner.bytes = inner.pieces.iter().map(Piece::cost).sum();
        inner.broken = true;
    }

    /// Segments that were handed out and those that were left out.
    pub(crate) fn counts(&self) -> (u64, u64) {
        let inner = self.lock();
        (inner.pushed, inner.dropped)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().expect("no holder panics")
    }
}

impl Inner {
    fn pop(&mut self) -> Option<Piece> {
        let piece = self.pieces.pop_front()?;
        self.bytes -= piece.cost();
        self.pushed += u64::from(matches!(piece, Piece::Segment { .. }));
        Some(piece)
    }

    fn push(&mut self, piece: Piece) {
        self.bytes += piece.cost();
        self.pieces.push_back(piece);
    }

    /// A header or a pause: a pause goes before the latest header, which is that of what follows.
    fn turn(&mut self, piece: Piece) {
        let (mut pause, mut init) = (None, None);
        while let Some(last) = self.pieces.pop_back_if(|last| !matches!(last, Piece::Segment { .. })) {
            self.bytes = self.bytes.saturating_sub(last.cost());
            match last {
                Piece::Init { .. } => init = init.or(Some(last)),
                _ => pause = Some(last),
            }
        }
        match piece {
            Piece::Init { .. } => init = Some(piece),
            _ => pause = Some(piece),
        }
        pause.into_iter().chain(init).for_each(|piece| self.push(piece));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(joins: bool, len: usize) -> Piece {
        Piece::Segment { joins, bytes: vec![0; len].into() }
    }

    #[tokio::test]
    async fn after_something_was_left_out_it_goes_on_with_a_key_frame() {
        let backlog = Backlog::new(1_000 + 3 * PIECE_BYTES);
        assert!(backlog.push(segment(true, 600)) && backlog.push(segment(false, 300)));
        assert!(!backlog.push(segment(false, 600)), "no room");
        assert!(!backlog.push(segment(false, 50)), "there is room, but nobody can decode it");
        assert_eq!(backlog.next().await, segment(true, 600));
        assert!(backlog.push(segment(true, 600)));
        assert_eq!(backlog.next().await, segment(false, 300));
        assert_eq!((backlog.next().await, backlog.counts()), (segment(true, 600), (3, 2)));
    }

    #[tokio::test]
    async fn a_header_comes_in_though_there_is_no_room_and_is_never_skipped() {
        let backlog = Backlog::new(PIECE_BYTES);
        let init = |n: u8| Piece::Init { mime: "x".into(), bytes: vec![n].into() };
        assert!(!backlog.push(segment(true, 1)));
        assert!(backlog.push(init(1)) && backlog.push(init(2)) && backlog.push(Piece::Pause));
        backlog.skip();
        assert_eq!((backlog.next().await, backlog.next().await), (Piece::Pause, init(2)));
    }

    proptest::proptest! {
        #[test]
        fn memory_stays_within_the_bound(lens in proptest::collection::vec((0usize..900, proptest::bool::ANY), 0..60)) {
            let backlog = Backlog::new(2_000);
            for (len, joins) in lens {
                backlog.push(segment(joins, len));
                proptest::prop_assert!(backlog.lock().bytes <= 2_000);
            }
        }
    }
}
