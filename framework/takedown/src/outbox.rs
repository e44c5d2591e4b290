//! Letters that wait to be sent. They are kept with the cases, so that a host that was killed goes on sending where it was.

use serde::{Deserialize, Serialize};

use crate::calendar::DAY_US;
use crate::letter::Letter;

/// Letters that wait, at most; further ones are dropped and counted. Each draft has one at most, so that drafts alone cannot fill it.
pub const LETTERS_MAX: u64 = 2 * crate::draft::DRAFTS_MAX as u64;
/// Letters that were given up are remembered, at most; the oldest are forgotten first.
pub const GIVEN_UP_MAX: u64 = 1_000;

/// The pause after a first failure, in microseconds; doubles each time.
const PAUSE_US: u64 = 5_000_000;
/// And is no longer.
const PAUSE_US_MAX: u64 = 3_600_000_000;
/// A letter that could not be sent for so long is given up, in microseconds: RFC 5321, 4.5.4.1.
const PATIENCE_US: u64 = 5 * DAY_US;

/// A letter that waits, or that was given up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Posted {
    /// 32 random hexadecimal digits: its name on the way, the same each time that it is sent.
    pub id: String,
    /// What it belongs to, and with which it is deleted.
    pub about: About,
    /// Its subject.
    pub subject: String,
    /// Address and text; nothing once it is given up.
    pub letter: Option<Letter>,
    /// When it was put in, microseconds since 1970.
    pub put_us: u64,
    /// How often it was tried in vain.
    pub tries: u32,
    /// Not to be sent before; nothing once it is given up.
    pub next_us: Option<u64>,
    /// What went wrong the last time, without addresses.
    pub problem: String,
}

/// What a letter belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum About {
    /// A case.
    Case(u64),
    /// A draft whose claimant is to confirm their address.
    Draft(String),
}

/// Why a letter was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// It may be taken later.
    ForNow,
    /// It never will.
    ForGood,
}

impl Posted {
    /// A letter that can be sent at once.
    pub fn new(id: String, about: About, letter: Letter, now_us: u64) -> Self {
        let subject = letter.subject().to_owned();
        let (letter, next_us) = (Some(letter), Some(now_us));
        Self { id, about, subject, letter, put_us: now_us, tries: 0, next_us, problem: String::new() }
    }

    /// It was not taken: it waits longer, or is given up, and then its address and its text are forgotten.
    pub fn failed(&mut self, failure: Failure, problem: &str, now_us: u64) {
        let pause_us = (PAUSE_US << self.tries.min(16)).min(PAUSE_US_MAX);
        let next_us = now_us.saturating_add(pause_us);
        let given_up = failure == Failure::ForGood || next_us >= self.put_us.saturating_add(PATIENCE_US);
        self.tries = self.tries.saturating_add(1);
        problem.clone_into(&mut self.problem);
        self.next_us = (!given_up).then_some(next_us);
        if given_up {
            self.letter = None;
        }
    }

    /// Whether it will not be tried again.
    pub fn is_given_up(&self) -> bool {
        self.next_us.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::letter::Sender;

    fn posted() -> Posted {
        let letter = Sender { url: "https://live.example.org".into() }.confirmation("a@example.org", "abc").unwrap();
        Posted::new("ab".repeat(16), About::Draft("d".into()), letter, DAY_US)
    }

    #[test]
    fn a_letter_waits_longer_each_time_and_is_given_up_after_five_days() {
        let (mut posted, mut now_us, mut pauses) = (posted(), DAY_US, Vec::new());
        while let Some(next_us) = posted.next_us {
            pauses.push((next_us - now_us) / 1_000_000);
            now_us = next_us;
            posted.failed(Failure::ForNow, "no answer", now_us);
        }
        assert_eq!(pauses[..5], [0, 5, 10, 20, 40]);
        assert_eq!(pauses.last(), Some(&3_600));
        assert!((5 * DAY_US - 3_600_000_000..=5 * DAY_US).contains(&(now_us - DAY_US)), "{now_us}");
        assert_eq!((posted.tries as usize, posted.letter), (pauses.len(), None));
    }

    #[test]
    fn what_is_refused_for_good_is_given_up_at_once_and_holds_no_address() {
        let mut posted = posted();
        posted.failed(Failure::ForGood, "the mail server answers 550", DAY_US);
        assert!(posted.is_given_up());
        let text = serde_json::to_string(&posted).unwrap();
        assert!(!text.contains("example.org") && text.contains("Please confirm your notice"), "{text}");
    }

    #[test]
    fn a_letter_is_read_as_it_was_written() {
        let text = serde_json::to_string(&posted()).unwrap();
        assert_eq!(serde_json::from_str::<Posted>(&text).unwrap(), posted());
    }
}
