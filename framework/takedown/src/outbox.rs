//! Letters that wait to be sent. They are kept with the cases, so that a host that was killed goes on sending where it was.

use serde::{Deserialize, Serialize};

use crate::calendar::DAY_US;
use crate::letter::{Letter, Whom};

/// Letters that wait, at most; further ones are dropped and counted. Each draft has one at most, so that drafts alone cannot fill it.
pub const LETTERS_MAX: u64 = 2 * crate::draft::DRAFTS_MAX as u64;
/// Letters that were given up are remembered, at most; the oldest are forgotten first.
pub const GIVEN_UP_MAX: u64 = 1_000;
/// And so are letters about cases that were sent.
pub const SENT_MAX: u64 = 10_000;
/// A letter that was tried so often in vain does not get through: greylisting has ended by then.
pub const FAILING_TRIES_MIN: u32 = 3;

/// The pause after a first failure, in microseconds; doubles each time.
const PAUSE_US: u64 = 5_000_000;
/// And is no longer.
const PAUSE_US_MAX: u64 = 3_600_000_000;
/// A letter that could not be sent for so long is given up, in microseconds: RFC 5321, 4.5.4.1.
const PATIENCE_US: u64 = 5 * DAY_US;

/// A letter that waits, or what is remembered of one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Posted {
    /// 32 random hexadecimal digits: its name on the way, the same each time that it is sent.
    pub id: String,
    /// What it belongs to, and with which it is deleted.
    pub about: About,
    /// To whom it is.
    #[serde(default)]
    pub whom: Whom,
    /// Its subject.
    pub subject: String,
    /// Address and text; nothing once it is sent or given up.
    pub letter: Option<Letter>,
    /// When it was put in, microseconds since 1970.
    pub put_us: u64,
    /// How often it was tried in vain.
    pub tries: u32,
    /// Not to be sent before; nothing once it is sent or given up.
    pub next_us: Option<u64>,
    /// When a mail server has taken it.
    #[serde(default)]
    pub sent_us: Option<u64>,
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
        let (whom, subject) = (letter.whom(), letter.subject().to_owned());
        let (letter, next_us, problem) = (Some(letter), Some(now_us), String::new());
        Self { id, about, whom, subject, letter, put_us: now_us, tries: 0, next_us, sent_us: None, problem }
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

    /// A mail server has taken it: its address and its text are forgotten.
    pub fn sent(&mut self, now_us: u64) {
        (self.letter, self.next_us, self.sent_us) = (None, None, Some(now_us));
        self.problem.clear();
    }

    /// How it stands.
    pub fn fate(&self) -> Fate {
        match (self.sent_us, self.next_us) {
            (Some(_), _) => Fate::Sent,
            (None, None) => Fate::GivenUp,
            (None, Some(_)) if self.tries >= FAILING_TRIES_MIN => Fate::Failing,
            (None, Some(_)) => Fate::Waiting,
        }
    }

    /// Whether it will not be tried again, and was not sent.
    pub fn is_given_up(&self) -> bool {
        self.fate() == Fate::GivenUp
    }
}

/// How a letter stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fate {
    /// It is tried soon.
    Waiting,
    /// It waits, and does not get through.
    Failing,
    /// It is not tried again.
    GivenUp,
    /// A mail server has taken it.
    Sent,
}

/// How the letters of a case stand, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Mails {
    /// They are tried soon.
    pub waiting: u64,
    /// They do not get through.
    pub failing: u64,
    /// They are not tried again.
    pub given_up: u64,
}

impl Mails {
    /// Of these letters.
    pub fn of(letters: &[Posted]) -> Self {
        let count = |fate| letters.iter().filter(|letter| letter.fate() == fate).count() as u64;
        Self { waiting: count(Fate::Waiting), failing: count(Fate::Failing), given_up: count(Fate::GivenUp) }
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
    fn what_is_sent_holds_no_address_and_is_tried_no_more() {
        let mut posted = posted();
        let mut fates = vec![posted.fate()];
        for _ in 0..FAILING_TRIES_MIN {
            posted.failed(Failure::ForNow, "no answer", DAY_US);
            fates.push(posted.fate());
        }
        posted.sent(DAY_US + 1);
        fates.push(posted.fate());
        assert_eq!(fates, [Fate::Waiting, Fate::Waiting, Fate::Waiting, Fate::Failing, Fate::Sent]);
        let text = serde_json::to_string(&posted).unwrap();
        assert!(!text.contains("example.org") && !text.contains("no answer") && !posted.is_given_up(), "{text}");
    }

    #[test]
    fn a_letter_is_read_as_it_was_written_and_as_it_was_written_before() {
        let text = serde_json::to_string(&posted()).unwrap();
        assert_eq!(serde_json::from_str::<Posted>(&text).unwrap(), posted());
        let before = text.replace("\"whom\":\"claimant\",", "").replace("\"sent_us\":null,", "");
        assert!(before.len() < text.len() - 50, "{before}");
        assert_eq!(serde_json::from_str::<Posted>(&before).unwrap(), posted());
    }
}
