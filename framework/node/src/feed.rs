//! What one peer has been sent, and what it is still to be sent.

use peerstream_protocol::bitmap::Bitmap;
use peerstream_protocol::frame::{Partial, Resume, Want};
use peerstream_protocol::id::{Seq, Stripes};

use crate::few::Few;
use crate::window::Window;

/// There is none after it; nobody has it, but anybody may ask for it.
const LAST: Seq = Seq(u64::MAX);

/// How far one segment has been sent.
#[derive(Clone, Copy, Debug, Default)]
struct Sent {
    header: bool,
    pieces: Bitmap,
}

/// The next thing to send on a feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// The segment's header; its pieces follow.
    Header(Seq),
    /// One piece.
    Piece(Seq, u8),
    /// These segments are not here and will not come: from, up to.
    Gap(Seq, Seq),
}

/// Segments on their way to one peer.
#[derive(Clone, Debug)]
pub(crate) struct Feed {
    /// Everything before this is done; absent until there is a join point to begin with.
    cursor: Option<Seq>,
    until: Option<Seq>,
    /// Never empty.
    stripes: Stripes,
    sent: Few<Seq, Sent>,
}

impl Feed {
    /// The feed a want asks for.
    pub(crate) fn new(want: &Want, window: &Window) -> Self {
        let cursor = match want.from {
            Resume::JoinPoint => window.join_point(),
            Resume::Seq(seq) => Some(seq),
        };
        let sent =
            want.have.iter().map(|Partial { seq, have }| (*seq, Sent { header: false, pieces: *have })).collect();
        Self { cursor, until: want.until, stripes: want.stripes, sent }
    }

    /// The stripes it is made of.
    pub(crate) fn stripes(&self) -> Stripes {
        self.stripes
    }

    /// Leaves stripes out from now on; those that stay must be some.
    pub(crate) fn keep(&mut self, stripes: Stripes) {
        self.stripes = stripes;
    }

    fn has(&self, seq: Seq) -> bool {
        self.stripes.meets(Stripes::of(seq))
    }

    /// The first segment that is not done.
    pub(crate) fn cursor(&self) -> Option<Seq> {
        self.cursor
    }

    /// Whether a bounded feed has sent all it was asked for.
    pub(crate) fn is_done(&self) -> bool {
        matches!((self.cursor, self.until), (Some(cursor), Some(until)) if cursor >= until)
    }

    /// What to send next of what is here, oldest first. The node itself has given up what is not whole before `position`.
    pub(crate) fn next(&mut self, window: &Window, position: Option<Seq>) -> Option<Next> {
        let cursor = self.start(window)?;
        if window.is_evicted(cursor) {
            return Some(Next::Gap(cursor, self.resume_after_eviction(window)));
        }
        if let Some(gap) = self.given_up(window, cursor, position) {
            return Some(gap);
        }
        let until = self.until.unwrap_or(Seq(u64::MAX));
        for (seq, segment) in window.from(cursor).take_while(|(seq, _)| *seq < until).filter(|(seq, _)| self.has(*seq))
        {
            let sent = self.sent.get(&seq).copied().unwrap_or_default();
            if !sent.header {
                return Some(Next::Header(seq));
            }
            if let Some(index) = segment.have.first_not_in(&sent.pieces) {
                return Some(Next::Piece(seq, index));
            }
        }
        self.missing_of_a_repair(window, cursor)
    }

    fn given_up(&self, window: &Window, cursor: Seq, position: Option<Seq>) -> Option<Next> {
        let position = position.filter(|position| self.until.is_none() && cursor < *position)?;
        let whole = |seq: Seq| window.get(seq).is_some_and(|segment| segment.is_complete());
        if whole(cursor) {
            return None;
        }
        let next = window.from(cursor.next()).find(|(_, segment)| segment.is_complete());
        Some(Next::Gap(cursor, next.map_or(position, |(seq, _)| seq.min(position))))
    }

    fn start(&mut self, window: &Window) -> Option<Seq> {
        if self.cursor.is_none() {
            self.cursor = window.join_point();
        }
        while let Some(cursor) = self.cursor.filter(|cursor| !self.has(*cursor) && *cursor != LAST) {
            self.cursor = Some(cursor.next());
        }
        self.cursor
    }

    /// A repair is answered at once: what is not here is said to be missing.
    fn missing_of_a_repair(&self, window: &Window, cursor: Seq) -> Option<Next> {
        let until = self.until.filter(|until| cursor < *until)?;
        let held = window.get(cursor).is_some();
        (!held).then(|| Next::Gap(cursor, window.from(cursor).next().map_or(until, |(seq, _)| seq.min(until))))
    }

    fn resume_after_eviction(&self, window: &Window) -> Seq {
        let first = window.first();
        let resume = window.join_point_from(first).unwrap_or(first);
        self.until.map_or(resume, |until| resume.min(until))
    }

    /// Notes that `next` was sent, and moves the cursor over all that is done.
    pub(crate) fn on_sent(&mut self, next: Next, window: &Window) {
        match next {
            Next::Header(seq) => self.sent.get_or_insert_with(seq, Sent::default).header = true,
            Next::Piece(seq, index) => {
                self.sent.get_or_insert_with(seq, Sent::default).pieces.insert(index);
            }
            Next::Gap(_, to) => {
                self.cursor = Some(to);
                self.sent.retain(|seq, _| *seq >= to);
            }
        }
        self.advance(window);
    }

    fn advance(&mut self, window: &Window) {
        while let Some(cursor) = self.cursor {
            let sent = self.sent.get(&cursor).copied().unwrap_or_default();
            let done = window.get(cursor).is_some_and(|segment| {
                segment.is_complete() && sent.header && segment.have.first_not_in(&sent.pieces).is_none()
            });
            if (self.has(cursor) && !done) || cursor == LAST {
                return;
            }
            self.sent.remove(&cursor);
            self.cursor = Some(cursor.next());
        }
    }

    /// The node has given up the segments before `next`: the feed does not wait for them either.
    pub(crate) fn give_up(&mut self, from: Seq, to: Seq) -> Option<Next> {
        let cursor = self.cursor.filter(|cursor| (from..to).contains(cursor))?;
        Some(Next::Gap(cursor, to))
    }
}
