//! What a child says on its standard error: read to the end, told in part.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::time::Instant;
use tracing::{info, warn};

use crate::Redactor;

/// The rest of a longer line is dropped.
pub const LINE_BYTES_MAX: usize = 400;
/// Lines that may be told at once.
const BURST: f64 = 20.0;
/// Lines a second that may be told for long.
const LINES_PER_SECOND: f64 = 1.0;
/// The last lines, which say why it ended.
const LAST_MAX: usize = 4;
/// How much is read at once, in bytes.
const CHUNK_BYTES: usize = 4096;

/// The last lines of a child.
#[derive(Clone, Debug, Default)]
pub(crate) struct Last {
    lines: Arc<Mutex<VecDeque<String>>>,
}

impl Last {
    fn push(&self, line: &str) {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() == LAST_MAX {
            lines.pop_front();
        }
        lines.push_back(line.into());
    }

    /// The last lines as one; empty if it never said anything.
    pub(crate) fn text(&self) -> String {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.iter().map(String::as_str).collect::<Vec<_>>().join("; ")
    }
}

/// Reads until the end; tells what it says within bounds, under this name.
pub(crate) async fn follow(mut from: impl AsyncRead + Unpin, name: String, redactor: Redactor, last: Last) {
    let (mut lines, mut budget) = (Lines::default(), Budget::new(Instant::now()));
    let mut chunk = vec![0; CHUNK_BYTES];
    while let Ok(len @ 1..) = from.read(&mut chunk).await {
        for line in lines.push(&chunk[..len]) {
            let shown = redactor.show(&line);
            last.push(&shown);
            if let Some(left_out) = budget.spend(&shown, Instant::now()) {
                tell(&name, &shown, left_out);
            }
        }
    }
    if budget.left_out > 0 {
        info!(child = name, lines = budget.left_out, "more was said and left out");
    }
}

fn tell(name: &str, line: &str, left_out: u64) {
    if left_out > 0 {
        info!(child = name, lines = left_out, "said more, which is left out");
    }
    match ["[error]", "[fatal]", "[panic]"].iter().any(|level| line.contains(level)) {
        true => warn!(child = name, "{line}"),
        false => info!(child = name, "{line}"),
    }
}

/// Cuts bytes into lines of bounded length.
#[derive(Debug, Default)]
struct Lines {
    line: Vec<u8>,
}

impl Lines {
    /// The lines that end in these bytes.
    fn push(&mut self, bytes: &[u8]) -> Vec<String> {
        let mut whole = Vec::new();
        for &byte in bytes {
            if !matches!(byte, b'\n' | b'\r') {
                if self.line.len() < LINE_BYTES_MAX {
                    self.line.push(byte);
                }
                continue;
            }
            let text = String::from_utf8_lossy(&self.line);
            let line: String = text.trim().chars().filter(|char| !char.is_control()).collect();
            self.line.clear();
            if !line.is_empty() {
                whole.push(line);
            }
        }
        whole
    }
}

/// How many lines may be told.
#[derive(Debug)]
struct Budget {
    tokens: f64,
    at: Instant,
    told: String,
    left_out: u64,
}

impl Budget {
    fn new(now: Instant) -> Self {
        Self { tokens: BURST, at: now, told: String::new(), left_out: 0 }
    }

    /// Whether this line may be told, and how many were left out before it. One that was just told is not told again.
    fn spend(&mut self, line: &str, now: Instant) -> Option<u64> {
        let passed: Duration = now.saturating_duration_since(self.at);
        self.at = now;
        self.tokens = (self.tokens + passed.as_secs_f64() * LINES_PER_SECOND).min(BURST);
        if self.tokens < 1.0 || self.told == line {
            self.left_out += 1;
            return None;
        }
        self.tokens -= 1.0;
        self.told = line.into();
        Some(std::mem::take(&mut self.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_cut_at_both_ends_of_line_and_bounded() {
        let mut lines = Lines::default();
        assert_eq!(lines.push(b"frame=1\rframe=2\r\n\n one\x1b"), ["frame=1", "frame=2"]);
        assert_eq!(lines.push(b" two\n"), ["one two"]);
        assert_eq!(lines.push(&[b'x'; 100_000]), [""; 0]);
        assert_eq!(lines.push(b"\n")[0].len(), LINE_BYTES_MAX);
        assert!(lines.line.capacity() <= 2 * LINE_BYTES_MAX);
    }

    #[test]
    fn a_garrulous_child_is_told_in_part() {
        let (start, mut told, mut left_out) = (Instant::now(), 0, 0);
        let mut budget = Budget::new(start);
        for n in 0..10_000 {
            if let Some(lines) = budget.spend(&format!("line {n}"), start + Duration::from_millis(n)) {
                (told, left_out) = (told + 1, left_out + lines);
            }
        }
        assert!((29..=31).contains(&told), "{told} in ten seconds");
        let later = budget.spend("later", start + Duration::from_secs(60)).unwrap();
        assert_eq!(told + left_out + later, 10_000);
        assert_eq!(budget.spend("later", start + Duration::from_secs(61)), None, "the same again");
    }

    #[tokio::test]
    async fn the_last_lines_are_remembered_without_secrets() {
        let last = Last::default();
        let said: &[u8] = b"1\n2\n3\n4\ncannot open rtsp://u:geheim@h/x\n";
        follow(said, "ffmpeg".into(), Redactor::new(), last.clone()).await;
        assert_eq!(last.text(), "2; 3; 4; cannot open rtsp://[redacted]@h/x");
    }
}
