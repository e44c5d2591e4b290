//! The player of a viewer that has gone back in time: it plays at rate one what it is handed, and waits when there is none.

use peerstream_node::PlayerState;
use peerstream_protocol::time::Micros;

/// It begins, and goes on after it has waited, with so much in store.
const BEGINS_WITH: Micros = Micros::from_millis(500);

/// What one viewer saw of the past since it went there.
#[derive(Clone, Copy, Debug, Default)]
pub struct Replay {
    /// When it went there.
    pub since: Micros,
    /// From then until it first played.
    pub started_after: Option<Micros>,
    /// How long it has played.
    pub watched: Micros,
    /// How long it has waited for more, after it had begun.
    pub waited: Micros,
    /// Segments that were not the source's.
    pub wrong: u64,
    /// What was handed over and is not played yet: from the play head to the end of it, on the payload's timeline.
    store: Option<(u64, u64)>,
    plays: bool,
    at: Micros,
}

impl Replay {
    /// A viewer goes back now.
    pub(crate) fn new(now: Micros) -> Self {
        Self { since: now, at: now, ..Self::default() }
    }

    /// What comes next does not go on where the last segment ended.
    pub(crate) fn turn(&mut self) {
        (self.store, self.plays) = (None, false);
    }

    /// A segment is handed over.
    pub(crate) fn on_segment(&mut self, pts_us: u64, duration_us: u64) {
        let head = self.store.map_or(pts_us, |(head, end)| if end < pts_us { head + (pts_us - end) } else { head });
        self.store = Some((head, pts_us + duration_us));
    }

    /// Time passes.
    pub(crate) fn play(&mut self, now: Micros) {
        let span = now.since(self.at);
        self.at = now;
        let Some((head, end)) = &mut self.store else { return self.wait(span) };
        let ahead = *end - *head;
        if !self.plays && ahead >= BEGINS_WITH.0 {
            self.plays = true;
            self.started_after.get_or_insert(now.since(self.since));
            return;
        }
        if !self.plays {
            return self.wait(span);
        }
        let played = span.0.min(ahead);
        *head += played;
        self.plays = played == span.0;
        self.watched += Micros(played);
        self.wait(Micros(span.0 - played));
    }

    fn wait(&mut self, span: Micros) {
        if self.started_after.is_some() {
            self.waited += span;
        }
    }

    /// What the node is told of it.
    pub(crate) fn state(&self) -> PlayerState {
        let (head, end) = self.store.unwrap_or_default();
        PlayerState {
            position_us: head,
            range_start_us: head,
            range_end_us: end,
            latest_us: end,
            ahead_us: end - head,
            ready: self.plays,
            ..PlayerState::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEGMENT: u64 = 200_000;

    #[test]
    fn a_viewer_waits_when_nothing_more_is_handed_over_and_skips_what_is_missing() {
        let mut replay = Replay::new(Micros(0));
        (0..5).for_each(|n| replay.on_segment(n * SEGMENT, SEGMENT));
        (1..=8).for_each(|n| replay.play(Micros(n * 250_000)));
        assert_eq!(replay.started_after, Some(Micros(250_000)));
        assert_eq!((replay.watched, replay.waited), (Micros::from_secs(1), Micros(750_000)));
        (10..15).for_each(|n| replay.on_segment(n * SEGMENT, SEGMENT));
        (9..=12).for_each(|n| replay.play(Micros(n * 250_000)));
        assert_eq!(replay.watched, Micros(1_750_000));
        assert_eq!(replay.state().position_us, 2_750_000);
    }
}
