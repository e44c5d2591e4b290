//! Keeps a media element near the live edge: the first seek, the rate, jumps over holes.
//!
//! The rules and their numbers come from measurements with Media Source Extensions in Chromium and Firefox; see
//! `docs/playout.md`.

use peerstream_protocol::time::Micros;

use crate::io::{Output, PlayerState};

/// The least playout target.
const TARGET_MIN: Micros = Micros::from_millis(400);
/// The most that jitter may add up to.
const TARGET_MAX: Micros = Micros::from_millis(1_000);
/// Play as soon as this much is buffered.
const START_BUFFERED: Micros = Micros::from_millis(100);
/// No correction within this distance of the target.
const DEAD_ZONE: Micros = Micros::from_millis(50);
/// Slow down below the target by more than this.
const LOW: Micros = Micros::from_millis(150);
/// Catch up faster beyond the target by more than this.
const FAR: Micros = Micros::from_millis(400);
/// Seek beyond the target by more than this.
const SEEK: Micros = Micros::from_millis(1_500);
/// A play head that has not moved for this long stands still.
const STILL: Micros = Micros::from_millis(100);
/// Standing still for this long counts as a stall.
const STALL: Micros = Micros::from_millis(200);
/// Chromium stops up to this long before the end of a range.
const RANGE_END: Micros = Micros::from_millis(200);
/// Into a range, so that rounding does not miss it.
const INTO_RANGE_US: u64 = 1_000;
/// No two seeks within this time, so that the element can carry one out.
const SEEK_PAUSE: Micros = Micros::from_millis(500);
/// Start-up is over this long after the first seek; stalls before that are part of starting.
const STARTING: Micros = Micros::from_secs(3);

/// The live-edge control of one player.
#[derive(Clone, Debug, Default)]
pub(crate) struct Live {
    started: Option<Micros>,
    rate: u16,
    position_us: u64,
    moved: Micros,
    sought: Micros,
    stalled: bool,
    pub(crate) stalls: u32,
}

impl Live {
    /// The control of the next epoch's player.
    pub(crate) fn after(earlier: &Self) -> Self {
        Self { stalls: earlier.stalls, ..Self::default() }
    }

    /// How far behind the newest segment to play, for a hop that costs `hop`.
    pub(crate) fn target(hop: Micros) -> Micros {
        Micros(hop.0 * 4).clamp(TARGET_MIN, TARGET_MAX)
    }

    /// The player told how it stands; at most one order comes back.
    pub(crate) fn on_state(&mut self, state: &PlayerState, hop: Micros, now: Micros) -> Option<Output> {
        let target = Self::target(hop);
        self.watch(state, now);
        if self.started.is_none() {
            return self.start(state, target, now);
        }
        if state.paused || now.since(self.sought) < SEEK_PAUSE {
            return None;
        }
        self.jump(state, target, now).or_else(|| self.nudge(state, target))
    }

    fn start(&mut self, state: &PlayerState, target: Micros, now: Micros) -> Option<Output> {
        let buffered = Micros(state.range_end_us).since(Micros(state.range_start_us));
        if buffered < START_BUFFERED {
            return None;
        }
        self.started = Some(now);
        self.rate = 1_000;
        self.seek(state.range_start_us.max(state.range_end_us.saturating_sub(target.0)), now)
    }

    fn seek(&mut self, to_us: u64, now: Micros) -> Option<Output> {
        self.sought = now;
        Some(Output::Seek(to_us))
    }

    /// Counts stalls.
    fn watch(&mut self, state: &PlayerState, now: Micros) {
        if state.position_us != self.position_us || state.paused {
            self.position_us = state.position_us;
            self.moved = now;
            self.stalled = false;
        }
        let starting = self.started.is_none_or(|at| now.since(at) < STARTING);
        if !starting && !self.stalled && now.since(self.moved) > STALL {
            self.stalled = true;
            self.stalls += 1;
        }
    }

    fn jump(&mut self, state: &PlayerState, target: Micros, now: Micros) -> Option<Output> {
        let still = now.since(self.moved) > STILL;
        if state.position_us < state.range_start_us && still {
            return self.seek(state.range_start_us + INTO_RANGE_US, now);
        }
        let at_the_end = state.position_us + RANGE_END.0 > state.range_end_us;
        if let Some(next) = state.next_range_start_us.filter(|_| still && at_the_end) {
            return self.seek(next + INTO_RANGE_US, now);
        }
        let behind = Micros(state.range_end_us).since(Micros(state.position_us));
        if behind > target + SEEK && state.next_range_start_us.is_none() {
            return self.seek(state.range_end_us - target.0, now);
        }
        None
    }

    fn nudge(&mut self, state: &PlayerState, target: Micros) -> Option<Output> {
        let behind = Micros(state.range_end_us).since(Micros(state.position_us));
        let rate = match behind {
            _ if behind > target + FAR => 1_100,
            _ if behind > target + DEAD_ZONE => 1_050,
            _ if behind + LOW < target => 950,
            // Once correcting, go on to the target itself: fewer changes of rate.
            _ if self.rate > 1_000 && behind > target => self.rate.min(1_050),
            _ => 1_000,
        };
        let changed = rate != self.rate;
        self.rate = rate;
        changed.then_some(Output::Rate(rate))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOP: Micros = Micros::from_millis(100);
    const STEP: Micros = Micros::from_millis(50);

    /// A media element whose data arrives in segments of 100 ms, `late` behind the live edge.
    struct Element {
        live: Live,
        now: Micros,
        head_us: f64,
        rate: f64,
        started: bool,
        range: (u64, u64),
        next: Option<(u64, u64)>,
        orders: Vec<Output>,
    }

    impl Element {
        /// `backlog_us` of media are there at once, as for a newcomer.
        fn new(backlog_us: u64) -> Self {
            let range = (10_000_000 - backlog_us, 10_000_000);
            let now = Micros::from_secs(10);
            let live = Live::default();
            Self { live, now, head_us: 0.0, rate: 1.0, started: false, range, next: None, orders: Vec::new() }
        }

        fn run(&mut self, span: Micros, mut arrives: impl FnMut(u64, &mut Self)) {
            let end = self.now + span;
            while self.now < end {
                self.now += STEP;
                if self.now.0.is_multiple_of(100_000) {
                    let edge = self.now.0;
                    arrives(edge, self);
                }
                self.play();
                self.ask();
            }
        }

        fn play(&mut self) {
            let (start, end) = (self.range.0 as f64, self.range.1 as f64);
            if self.started && (start..end).contains(&self.head_us) {
                self.head_us = (self.head_us + STEP.0 as f64 * self.rate).min(end - 50_000.0).max(self.head_us);
            }
        }

        fn ask(&mut self) {
            let state = PlayerState {
                position_us: self.head_us as u64,
                range_start_us: self.range.0,
                range_end_us: self.range.1,
                next_range_start_us: self.next.map(|next| next.0),
                paused: false,
                ready: true,
            };
            let Some(order) = self.live.on_state(&state, HOP, self.now) else { return };
            match order {
                Output::Seek(to) => self.seek(to),
                Output::Rate(rate) => self.rate = f64::from(rate) / 1_000.0,
                _ => {}
            }
            self.orders.push(order);
        }

        fn seek(&mut self, to: u64) {
            self.started = true;
            self.head_us = to as f64;
            if let Some(next) = self.next.take_if(|next| to >= next.0) {
                self.range = next;
            }
        }

        fn behind_ms(&self) -> i64 {
            (self.range.1 as i64 - self.head_us as i64) / 1_000
        }

        fn seeks(&self) -> usize {
            self.orders.iter().filter(|order| matches!(order, Output::Seek(_))).count()
        }
    }

    fn append(edge: u64, element: &mut Element) {
        match &mut element.next {
            Some(next) => next.1 = edge,
            None => element.range.1 = edge,
        }
    }

    #[test]
    fn a_player_starts_at_its_target_and_stays_there_without_a_stall() {
        let mut element = Element::new(1_000_000);
        element.run(Micros::from_secs(20), append);
        assert!((300..=500).contains(&element.behind_ms()), "{} ms behind", element.behind_ms());
        assert_eq!((element.seeks(), element.live.stalls), (1, 0));
    }

    #[test]
    fn a_player_that_fell_a_little_behind_catches_up_by_rate_alone() {
        let mut element = Element::new(1_000_000);
        element.run(Micros::from_secs(4), append);
        element.head_us -= 900_000.0;
        element.run(Micros::from_secs(15), append);
        assert!(element.behind_ms() <= 500, "{} ms behind", element.behind_ms());
        assert_eq!(element.seeks(), 1);
    }

    #[test]
    fn a_player_that_fell_far_behind_seeks_once() {
        let mut element = Element::new(1_000_000);
        element.run(Micros::from_secs(4), append);
        element.head_us -= 5_000_000.0;
        element.range.0 = 0;
        element.run(Micros::from_secs(4), append);
        assert_eq!(element.seeks(), 2);
        assert!(element.behind_ms() <= 500, "{} ms behind", element.behind_ms());
    }

    #[test]
    fn a_hole_is_jumped_over_as_soon_as_there_is_something_behind_it() {
        let mut element = Element::new(1_000_000);
        element.run(Micros::from_secs(4), append);
        let end = element.range.1;
        element.next = Some((end + 1_000_000, end + 1_000_000));
        element.run(Micros::from_secs(3), |edge, element| {
            if edge > end + 1_000_000 {
                append(edge, element);
            }
        });
        assert!(element.next.is_none(), "the head is behind the hole");
        assert!(element.behind_ms() <= 1_100, "{} ms behind", element.behind_ms());
    }
}
