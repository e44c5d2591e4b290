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
