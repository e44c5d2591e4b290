//! A little work before a notice is begun: the puzzle of admission, each answer good for one draft. Those who ask from one network in the same
//! second get the same puzzle; whose answer was used already asks again.

use std::collections::HashMap;
use std::sync::Mutex;

use peerstream::clock::wall;
use peerstream_sdk::traits::admission::{AdmissionPolicy as _, JoinRequest, Task, Verdict};
use peerstream_sdk::traits::{BuildContext, Lifecycle as _, Plugin as _};
use tokio::sync::OnceCell;

use crate::bundle::{Work, WorkConfig};

/// A puzzle is no harder, in bits.
pub const BITS_MAX: u8 = 26;
/// Seconds in which a puzzle must be solved.
const VALID_S: u64 = 600;
/// Solved puzzles that are remembered, so that each is good once; when there are more, newcomers are told to come back.
const USED_MAX: usize = 16_384;
/// A proof is no longer, in bytes.
const PROOF_BYTES_MAX: usize = 200;

/// Makes puzzles, and knows which were used.
#[derive(Debug)]
pub struct Puzzles {
    work: Work,
    started: OnceCell<()>,
    /// Until when, in seconds since 1970, a proof must be remembered.
    used: Mutex<HashMap<String, u64>>,
}

/// Why a proof is not good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bad {
    /// It solves nothing, or was used.
    Proof,
    /// Too many were used lately.
    Busy,
}

impl Puzzles {
    pub fn new(bits: u8) -> Self {
        let config = WorkConfig { bits, valid_s: VALID_S, ..WorkConfig::default() };
        let work = Work::build(config, &BuildContext::new("takedown")).expect("it is made of any config");
        Self { work, started: OnceCell::new(), used: Mutex::default() }
    }

    async fn verdict(&self, network: &str, proof: Option<String>) -> Option<Verdict> {
        let start = || async { self.work.start().await };
        self.started.get_or_try_init(start).await.ok()?;
        let now_us = wall().as_micros() as u64;
        // Another name than that of a stream: a ticket's puzzle is none for this.
        let request = JoinRequest { stream: "takedown".into(), network: network.to_owned(), proof, now_us };
        self.work.admit(&request).await.ok()
    }

    /// A puzzle for a network, and its bits.
    pub async fn puzzle(&self, network: &str) -> Option<(String, u8)> {
        match self.verdict(network, None).await? {
            Verdict::Challenge { task: Task::Work { puzzle, bits } } => Some((puzzle, bits)),
            _ => None,
        }
    }

    /// Takes a proof, once.
    pub async fn take(&self, network: &str, proof: &str) -> Result<(), Bad> {
        if proof.len() > PROOF_BYTES_MAX {
            return Err(Bad::Proof);
        }
        let Some(Verdict::Allow { .. }) = self.verdict(network, Some(proof.to_owned())).await else {
            return Err(Bad::Proof);
        };
        let now_s = wall().as_secs();
        let mut used = self.used.lock().expect("no holder panics");
        if used.len() >= USED_MAX {
            used.retain(|_, until| *until > now_s);
            if used.len() >= USED_MAX {
                return Err(Bad::Busy);
            }
        }
        match used.insert(proof.to_owned(), now_s + VALID_S + 1) {
            None => Ok(()),
            Some(_) => Err(Bad::Proof),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::solve_puzzle;

    #[tokio::test]
    async fn a_solved_puzzle_is_good_once_and_for_its_network() {
        let puzzles = Puzzles::new(4);
        let (puzzle, bits) = puzzles.puzzle("192.0.2.1").await.unwrap();
        let proof = solve_puzzle(&puzzle, bits);
        assert_eq!(puzzles.take("192.0.2.2", &proof).await, Err(Bad::Proof));
        assert_eq!(puzzles.take("192.0.2.1", &proof).await, Ok(()));
        assert_eq!(puzzles.take("192.0.2.1", &proof).await, Err(Bad::Proof));
        for proof in ["", ":", "0-00:1", &"x".repeat(10_000)] {
            assert_eq!(puzzles.take("192.0.2.1", proof).await, Err(Bad::Proof), "{proof}");
        }
    }
}
