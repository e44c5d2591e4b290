//! How far a study is, on one line of a terminal.

use std::io::{IsTerminal as _, Write as _};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use peerstream_lab::Progress;

const EVERY: Duration = Duration::from_millis(200);
const BAR: usize = 24;

/// How far each run is; silent when standard error is no terminal.
pub struct Board {
    state: Option<Mutex<State>>,
}

struct State {
    done: Vec<f64>,
    started: Instant,
    shown: Instant,
}

impl Board {
    /// A board for this many runs.
    pub fn new(runs: usize) -> Self {
        let now = Instant::now();
        let state = State { done: vec![0.0; runs], started: now, shown: now };
        Self { state: std::io::stderr().is_terminal().then(|| Mutex::new(state)) }
    }

    /// A run got further.
    pub fn update(&self, run: usize, label: &str, seed: u64, progress: &Progress) {
        let Some(state) = &self.state else { return };
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        state.done[run] = progress.done;
        if state.shown.elapsed() < EVERY {
            return;
        }
        state.shown = Instant::now();
        let now = format!("{label}, seed {seed}: {:.0} s, {} viewers", progress.simulated_s, progress.viewers);
        let share = state.done.iter().sum::<f64>() / state.done.len() as f64;
        let line = line(share, state.started.elapsed(), state.done.len(), &now);
        let _ = write!(std::io::stderr(), "\r\x1b[K{line}").and_then(|()| std::io::stderr().flush());
    }

    /// A run has ended.
    pub fn done(&self, run: usize) {
        if let Some(state) = &self.state {
            state.lock().unwrap_or_else(PoisonError::into_inner).done[run] = 1.0;
        }
    }

    /// Leaves the line empty.
    pub fn clear(&self) {
        if self.state.is_some() {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}

fn line(share: f64, elapsed: Duration, runs: usize, now: &str) -> String {
    let full = (share.clamp(0.0, 1.0) * BAR as f64) as usize;
    let bar = "#".repeat(full) + &".".repeat(BAR - full);
    let left = elapsed.as_secs_f64() * (1.0 - share) / share.max(1e-6);
    let left = if share > 0.01 { format!(", {} left", clock(left)) } else { String::new() };
    let runs = if runs == 1 { String::new() } else { format!(" of {runs} runs") };
    format!("[{bar}] {:.0} %{runs}{left} ({now})", 100.0 * share)
}

fn clock(seconds: f64) -> String {
    let seconds = seconds as u64;
    match seconds / 3_600 {
        0 => format!("{}:{:02}", seconds / 60, seconds % 60),
        hours => format!("{hours}:{:02}:{:02}", seconds / 60 % 60, seconds % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_says_how_much_is_left() {
        let shown = line(0.25, Duration::from_secs(60), 8, "live, seed 3: 12 s, 99 viewers");
        assert_eq!(shown, "[######..................] 25 % of 8 runs, 3:00 left (live, seed 3: 12 s, 99 viewers)");
        assert_eq!(line(0.0, Duration::ZERO, 1, "x"), "[........................] 0 % (x)");
        assert_eq!(clock(3_725.0), "1:02:05");
    }
}
