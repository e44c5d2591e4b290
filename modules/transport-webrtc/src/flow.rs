//! How much to hand to the SCTP stack.
//!
//! The stack sends unordered messages (pieces) before ordered ones (control), so on a saturated link a control frame
//! would wait as long as pieces keep coming. Here the stack gets about twice what one round trip carries, enough for
//! its congestion window to grow, and while a control frame is on its way pieces wait until only about one round trip's
//! worth is left inside: then nothing is queued before it. Told the time, never asks.

use std::collections::VecDeque;
use std::time::Duration;

/// The stack always gets this much, in bytes: a live unit fits, and a fresh link can start.
const BUDGET_MIN: usize = 64 * 1024;
/// Beyond two round trips' worth, in bytes.
const BUDGET_SPARE: usize = 32 * 1024;
/// An estimate is forgotten after one to two of these.
const MEMORY: Duration = Duration::from_secs(5);
/// Frames whose acknowledgement is timed at once.
const MARKS_MAX: usize = 256;

/// What is known of one link's path.
#[derive(Debug)]
pub(crate) struct Flow {
    window: usize,
    handed: u64,
    acked: u64,
    /// Ends of frames, counted in bytes handed, and when they were handed.
    marks: VecDeque<(u64, Duration)>,
    round_trip: Recent<Duration>,
    /// Acknowledgements of the last round trip.
    acks: VecDeque<(Duration, usize)>,
    /// The most that was acknowledged within one round trip.
    flight: Recent<usize>,
}

impl Flow {
    pub(crate) fn new(window: usize) -> Self {
        Self {
            window,
            handed: 0,
            acked: 0,
            marks: VecDeque::new(),
            round_trip: Recent::default(),
            acks: VecDeque::new(),
            flight: Recent::default(),
        }
    }

    /// Notes that a frame went to the stack.
    pub(crate) fn hand(&mut self, bytes: usize, now: Duration) {
        self.handed += bytes as u64;
        if self.marks.len() < MARKS_MAX {
            self.marks.push_back((self.handed, now));
        }
    }

    /// Notes what the peer acknowledged.
    pub(crate) fn acknowledge(&mut self, bytes: usize, now: Duration) {
        self.acked += bytes as u64;
        while let Some((_, handed_at)) = self.marks.pop_front_if(|(end, _)| *end <= self.acked) {
            self.round_trip.keep(now.saturating_sub(handed_at), now, Duration::min);
        }
        let Some(round_trip) = self.round_trip.get(Duration::min) else { return };
        if bytes > 0 {
            self.acks.push_back((now, bytes));
        }
        while self.acks.pop_front_if(|(at, _)| *at + round_trip < now).is_some() {}
        let flight = self.acks.iter().map(|(_, bytes)| bytes).sum();
        self.flight.keep(flight, now, usize::max);
    }

    /// Bytes inside the stack.
    pub(crate) fn inside(&self) -> usize {
        usize::try_from(self.handed.saturating_sub(self.acked)).unwrap_or(usize::MAX)
    }

    /// Whether a control frame may go to the stack.
    pub(crate) fn admits_control(&self) -> bool {
        self.inside() < self.window
    }

    /// Whether a piece may go to the stack.
    pub(crate) fn admits_piece(&self, control_on_its_way: bool) -> bool {
        let flight = self.flight.get(usize::max).unwrap_or(0);
        let budget = match control_on_its_way {
            true => flight.max(BUDGET_SPARE),
            false => (2 * flight + BUDGET_SPARE).max(BUDGET_MIN),
        };
        self.inside() < budget.min(self.window)
    }
}

/// The best value of the last while.
#[derive(Debug, Default)]
struct Recent<T> {
    since: Duration,
    current: Option<T>,
    previous: Option<T>,
}

impl<T: Copy> Recent<T> {
    fn keep(&mut self, value: T, now: Duration, better: fn(T, T) -> T) {
        if now.saturating_sub(self.since) > MEMORY {
            self.previous = self.current.take();
            self.since = now;
        }
        self.current = Some(self.current.map_or(value, |current| better(current, value)));
    }

    fn get(&self, better: fn(T, T) -> T) -> Option<T> {
        match (self.current, self.previous) {
            (Some(current), Some(previous)) => Some(better(current, previous)),
            (current, previous) => current.or(previous),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: usize = 256 * 1024;
    const PIECE: usize = 8 * 1024;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// A path that takes `rate` bytes per ms and answers 40 ms after a piece is through.
    struct Path {
        flow: Flow,
        rate: usize,
        now: Duration,
        idle_at: Duration,
        answers: VecDeque<(Duration, usize)>,
    }

    impl Path {
        /// Sends as much as is admitted for two seconds.
        fn saturated(rate: usize) -> Self {
            let answers = VecDeque::new();
            let mut path = Self { flow: Flow::new(WINDOW), rate, now: ms(0), idle_at: ms(0), answers };
            while path.now < ms(2000) {
                while path.flow.admits_piece(false) {
                    path.send(PIECE);
                }
                path.step();
            }
            path
        }

        fn send(&mut self, bytes: usize) {
            self.flow.hand(bytes, self.now);
            self.idle_at = self.idle_at.max(self.now) + Duration::from_micros((bytes * 1000 / self.rate) as u64);
            self.answers.push_back((self.idle_at + ms(40), bytes));
        }

        fn step(&mut self) {
            self.now += ms(5);
            let mut acked = 0;
            while let Some((_, bytes)) = self.answers.pop_front_if(|(at, _)| *at <= self.now) {
                acked += bytes;
            }
            self.flow.acknowledge(acked, self.now);
        }
    }

    #[test]
    fn a_fast_path_gets_the_whole_window() {
        let path = Path::saturated(20_000);
        assert!(path.flow.inside() > WINDOW - PIECE, "{} inside", path.flow.inside());
    }

    #[test]
    fn a_slow_path_is_not_filled_with_pieces() {
        let path = Path::saturated(300);
        assert!(path.flow.inside() < 96 * 1024, "{} inside", path.flow.inside());
    }

    #[test]
    fn pieces_wait_for_a_control_frame_for_little_more_than_what_is_queued_before_it() {
        let mut path = Path::saturated(300);
        path.send(100);
        let sent = path.now;
        while !path.flow.admits_piece(true) {
            path.step();
        }
        let waited = path.now - sent;
        assert!(waited > ms(20) && waited < ms(300), "{waited:?}");
    }

    #[test]
    fn estimates_are_forgotten() {
        let mut recent = Recent::default();
        recent.keep(9, ms(0), usize::max);
        recent.keep(3, ms(5_001), usize::max);
        assert_eq!(recent.get(usize::max), Some(9));
        recent.keep(2, ms(10_003), usize::max);
        assert_eq!(recent.get(usize::max), Some(3));
    }
}
