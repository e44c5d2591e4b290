//! Keeps a media element near the live edge: the first seek, the rate, jumps over holes.
//!
//! The rules and their numbers come from measurements with Media Source Extensions in Chromium and Firefox; see
//! `docs/playout.md`.

use peerstream_protocol::time::Micros;

use crate::io::{Output, PlayerState};

/// The least playout target that lets a node go on while its parent is replaced.
const TARGET_MIN: Micros = Micros::from_millis(400);
/// The least one where a stall is accepted when a node dies.
const TARGET_MIN_DARING: Micros = Micros::from_millis(150);
/// No target is larger, whatever the jitter.
const TARGET_MAX: Micros = Micros::from_millis(1_000);
/// Browsers stop up to 90 ms before the end of what they have.
const BROWSER: Micros = Micros::from_millis(80);
/// Play as soon as this much is buffered.
const START_BUFFERED: Micros = Micros::from_millis(100);
/// No correction within this distance of the target.
const DEAD_ZONE: Micros = Micros::from_millis(50);
/// Slow down below the target by more than this.
const LOW: Micros = Micros::from_millis(150);
/// Catch up faster beyond the target by more than this.
const FAR: Micros = Micros::from_millis(400);
/// Behind a hole at least this much waits before it is jumped over, if the target is not twice as much.
const BEHIND_HOLE_MIN: Micros = Micros::from_millis(100);
/// What is behind a hole is not waited for longer than this.
const HOLE_WAIT: Micros = Micros::from_secs(1);
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

/// How the stream comes, as far as playing depends on it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Arrival {
    /// What one hop costs: a viewer notices and mends the loss of a parent in four times that.
    pub(crate) hop: Micros,
    /// The mean length of a segment.
    pub(crate) segment: Micros,
    /// How much later than others some segments come.
    pub(crate) jitter: Micros,
    /// There are no pictures, and whoever listens hears other rates.
    pub(crate) only_sound: bool,
}

/// The live-edge control of one player.
#[derive(Clone, Debug, Default)]
pub(crate) struct Live {
    /// The viewer has gone back in time: nothing draws it to the live edge.
    detached: bool,
    /// Stalls are accepted when a node dies, for less lag.
    daring: bool,
    started: Option<Micros>,
    /// The user wants to be at the live edge at once.
    returning: bool,
    rate: u16,
    position_us: u64,
    moved: Micros,
    sought: Micros,
    /// Since when the head stands before a hole that has something behind it.
    at_hole: Option<Micros>,
    stalled: bool,
    pub(crate) stalls: u32,
}

impl Live {
    /// The control of the next epoch's player.
    pub(crate) fn after(earlier: &Self) -> Self {
        Self { stalls: earlier.stalls, daring: earlier.daring, ..Self::default() }
    }

    /// The control of a player that plays what is past.
    pub(crate) fn detached(earlier: &Self) -> Self {
        Self { detached: true, ..Self::after(earlier) }
    }

    /// Whether a stall is accepted when a node dies, for less lag.
    pub(crate) fn set_daring(&mut self, daring: bool) {
        self.daring = daring;
    }

    /// The user wants to be at the live edge at once.
    pub(crate) fn return_to_edge(&mut self) {
        self.returning = true;
    }

    /// How much of a stream that comes like this is kept in store.
    pub(crate) fn target(&self, arrival: &Arrival) -> Micros {
        let safe = Micros(arrival.hop.0.saturating_mul(4)).max(TARGET_MIN);
        let least = if self.daring { TARGET_MIN_DARING } else { safe };
        least.max(arrival.segment + arrival.jitter + BROWSER).min(TARGET_MAX)
    }

    /// The player told how it stands; at most one order comes back.
    pub(crate) fn on_state(&mut self, state: &PlayerState, arrival: &Arrival, now: Micros) -> Option<Output> {
        let target = self.target(arrival);
        self.watch(state, now);
        if self.started.is_none() {
            return self.start(state, target, now);
        }
        if state.paused || now.since(self.sought) < SEEK_PAUSE {
            return None;
        }
        self.jump(state, target, now).or_else(|| self.nudge(state, target, arrival.only_sound))
    }

    fn start(&mut self, state: &PlayerState, target: Micros, now: Micros) -> Option<Output> {
        let buffered = Micros(state.range_end_us).since(Micros(state.range_start_us));
        if buffered < START_BUFFERED {
            return None;
        }
        self.started = Some(now);
        self.rate = 1_000;
        let near_the_edge = if self.detached { 0 } else { state.range_end_us.saturating_sub(target.0) };
        self.seek(state.range_start_us.max(near_the_edge), now)
    }

    fn seek(&mut self, to_us: u64, now: Micros) -> Option<Output> {
        self.sought = now;
        self.at_hole = None;
        self.returning = false;
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
        if self.detached {
            return self.jump_over_hole(state, target, still, now);
        }
        let beyond = if self.returning { Micros(0) } else { SEEK };
        if Micros(state.ahead_us) > target + beyond {
            return self.seek(state.latest_us.saturating_sub(target.0), now);
        }
        self.returning = false;
        self.jump_over_hole(state, target, still, now)
    }

    /// A publisher that was away leaves a hole of minutes, a lost segment one of milliseconds: what counts is what is behind it.
    fn jump_over_hole(&mut self, state: &PlayerState, target: Micros, still: bool, now: Micros) -> Option<Output> {
        let at_the_end = state.position_us + RANGE_END.0 > state.range_end_us;
        let Some((start, end)) = state.next_range_us.filter(|_| still && at_the_end) else {
            self.at_hole = None;
            return None;
        };
        let since = *self.at_hole.get_or_insert(now);
        let behind_hole = Micros(end).since(Micros(start));
        let enough = behind_hole >= BEHIND_HOLE_MIN.max(Micros(target.0 / 2));
        if !enough && now.since(since) < HOLE_WAIT {
            return None;
        }
        let near_the_edge = if self.detached { 0 } else { end.saturating_sub(target.0) };
        self.seek(start.max(near_the_edge) + INTO_RANGE_US, now)
    }

    fn nudge(&mut self, state: &PlayerState, target: Micros, only_sound: bool) -> Option<Output> {
        if self.detached {
            return None;
        }
        let ahead = Micros(state.ahead_us);
        let rate = match ahead {
            _ if ahead > target + FAR && !only_sound => 1_100,
            _ if ahead > target + DEAD_ZONE => 1_050,
            _ if ahead + LOW < target => 950,
            // Once correcting, go on to the target itself: fewer changes of rate.
            _ if self.rate > 1_000 && ahead > target => self.rate.min(1_050),
            _ => 1_000,
        };
        let changed = rate != self.rate;
        self.rate = rate;
        changed.then_some(Output::Rate(rate))
    }
}

#[cfg(test)]
mod tests;
