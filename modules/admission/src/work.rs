//! Who has done some work may join.
//!
//! The puzzle says when it was made and for whom, sealed, so that nothing is stored: `TIME-SEAL`. The answer is `TIME-SEAL:NUMBER` such that
//! its SHA-256 begins with so many zero bits. A solved puzzle can be shown again from the same network until its time is over; that
//! gives nothing that the first time did not.

use std::sync::OnceLock;
use std::time::Duration;

use peerstream_sdk::prelude::*;
use peerstream_sdk::protocol::crypto::hash;
use peerstream_sdk::traits::admission::{AdmissionPolicy, JoinRequest, Task, Verdict};
use sha2::{Digest, Sha256};

use crate::config::WorkConfig;

/// Solves a puzzle, as a page does; tries about `2^bits` numbers.
pub fn solve(puzzle: &str, bits: u8) -> String {
    let answers = (0u64..).map(|number| format!("{puzzle}:{number}"));
    answers.into_iter().find(|answer| zero_bits(answer) >= u32::from(bits)).expect("there is always one")
}

fn zero_bits(answer: &str) -> u32 {
    let sum = Sha256::digest(answer.as_bytes());
    let whole = sum.iter().take_while(|byte| **byte == 0).count();
    8 * whole as u32 + sum.get(whole).map_or(0, |byte| byte.leading_zeros())
}

/// Lets in who has done some work.
#[derive(Debug)]
pub struct Work {
    config: WorkConfig,
    /// Drawn at the start; puzzles of before a restart are not known any more.
    key: OnceLock<[u8; 32]>,
}

impl Work {
    fn puzzle(&self, key: &[u8; 32], request: &JoinRequest, at_s: u64) -> String {
        let (stream, network) = (request.stream.as_bytes(), request.network.as_bytes());
        // Of one length each, so that no two requests look alike.
        let sealed = [&key[..], &hash(stream), &hash(network), &at_s.to_le_bytes(), &[self.config.bits]].concat();
        let seal = hash(&sealed)[..16].iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
        format!("{at_s:x}-{seal}")
    }

    fn is_solved(&self, key: &[u8; 32], request: &JoinRequest, proof: &str) -> bool {
        let Some((puzzle, number)) = proof.split_once(':') else { return false };
        let at_s = puzzle.split_once('-').and_then(|(at_s, _)| u64::from_str_radix(at_s, 16).ok());
        let Some(at_s) = at_s else { return false };
        let age_s = (request.now_us / 1_000_000).checked_sub(at_s);
        age_s.is_some_and(|age_s| age_s <= self.config.valid_s)
            && number.len() <= 20
            && self.puzzle(key, request, at_s) == puzzle
            && zero_bits(proof) >= u32::from(self.config.bits)
    }
}

impl Plugin for Work {
    const NAME: &'static str = "proof-of-work";
    const SUMMARY: &'static str = "who has solved a small puzzle may join";
    const STABILITY: Stability = Stability::Beta;
    type Config = WorkConfig;

    fn build(config: WorkConfig, _: &BuildContext<'_>) -> Result<Self, PluginError> {
        Ok(Self { config, key: OnceLock::new() })
    }
}

#[async_trait]
impl Lifecycle for Work {
    async fn start(&self) -> Result<(), PluginError> {
        let mut key = [0; 32];
        getrandom::fill(&mut key).map_err(|error| PluginError::unavailable(error.to_string()))?;
        let _ = self.key.set(key);
        Ok(())
    }
}

#[async_trait]
impl AdmissionPolicy for Work {
    async fn admit(&self, request: &JoinRequest) -> Result<Verdict, PluginError> {
        let key = self.key.get().ok_or_else(|| PluginError::unavailable("the policy is not started"))?;
        if request.proof.as_ref().is_some_and(|proof| self.is_solved(key, request, proof)) {
            return Ok(Verdict::allow(Duration::from_secs(self.config.stay_s)));
        }
        let puzzle = self.puzzle(key, request, request.now_us / 1_000_000);
        Ok(Verdict::Challenge { task: Task::Work { puzzle, bits: self.config.bits } })
    }
}
