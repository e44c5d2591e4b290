//! The pace of guests. Those whom this node feeds and its guests share one uplink, in which what is sent first leaves first.
//!
//! The node follows how long the uplink has to do with what was put into it. Guests are sent something only while that is
//! little: what is live never waits behind more of theirs than that, and they get all that it leaves.

use peerstream_protocol::crypto::Verifier;
use peerstream_protocol::time::Micros;

use crate::node::Node;

/// Guests are sent something while the uplink has no more to do than this.
const BURST: Micros = Micros::from_millis(60);
/// One that has just come is sent this much of the stream while it has no more to do than that: its player shows nothing before.
const FIRST: Micros = Micros::from_millis(600);
const BURST_FIRST: Micros = Micros::from_millis(100);
/// What was put into it beyond this is not remembered: it may carry more than is known.
const BEHIND_MAX: Micros = Micros::from_secs(1);
/// The uplink is looked at again after this long at the soonest.
const STEP: Micros = Micros::from_millis(15);

/// What the uplink has to do.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    /// Bytes of payload per second that children and guests may be sent together; 0 while nothing is known.
    rate: u64,
    /// Bytes of payload that are sent first to a guest that has just come.
    first: u64,
    /// When all that was sent so far has left.
    free_at: Micros,
    /// Payload sent that is accounted for.
    sent: u64,
}

impl Pace {
    /// Accounts for all payload sent so far.
    pub(crate) fn note(&mut self, sent: u64, now: Micros) {
        let news = sent - self.sent;
        self.sent = sent;
        if news > 0 && self.rate > 0 {
            let takes = Micros(news.saturating_mul(1_000_000) / self.rate);
            self.free_at = (self.free_at.max(now) + takes).min(now + BEHIND_MAX);
        }
    }

    /// Whether a guest that was sent so much has just come.
    pub(crate) fn is_first(&self, given: u64) -> bool {
        given < self.first
    }

    /// When a guest that was sent so much may be sent more, if that is not now.
    pub(crate) fn due(&self, given: u64, now: Micros) -> Option<Micros> {
        let burst = if self.is_first(given) { BURST_FIRST } else { BURST };
        (self.free_at > now + burst).then(|| Micros(self.free_at.0 - burst.0).max(now + STEP))
    }
}

impl<V: Verifier> Node<V> {
    /// Looks at what the uplink carries. An eighth is left for what does not go by what was measured, and half of that where children
    /// and guests could not all be sent an eighth more than is played. While nothing was measured, it is taken to carry the copies
    /// that this node may send, and an eighth.
    pub(crate) fn set_pace(&mut self) {
        let bitrate = self.window.bitrate().unwrap_or_default();
        self.guests.pace.first = bitrate * FIRST.0 / 1_000_000;
        let copies = (self.copies_fed() + self.guests_given()) as u64;
        self.guests.pace.rate = match self.uplink.carries() {
            0 => bitrate * self.copies_max() as u64 * 9 / 8,
            carries => (bitrate * copies * 9 / 8).clamp(carries * 14 / 16, carries * 15 / 16),
        };
    }

    /// When guests may be sent more of what they are owed.
    pub(crate) fn giving_due(&self) -> Option<Micros> {
        let owed = self.owed().filter(|(_, link)| link.past.is_owed());
        owed.filter_map(|(_, link)| self.guests.pace.due(link.past.given(), self.now)).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Micros {
        Micros::from_millis(1_000 + ms)
    }

    #[test]
    fn guests_wait_until_little_of_what_was_sent_is_left() {
        let mut pace = Pace { rate: 1_000_000, ..Pace::default() };
        pace.note(60_000, at(0));
        assert_eq!(pace.due(0, at(0)), None);
        pace.note(100_000, at(0));
        assert_eq!(pace.due(0, at(0)), Some(at(40)));
        assert_eq!(pace.due(0, at(35)), Some(at(50)), "not for each piece");
        assert_eq!(pace.due(0, at(40)), None);
    }

    #[test]
    fn one_that_has_just_come_waits_less() {
        let mut pace = Pace { rate: 1_000_000, first: 100_000, ..Pace::default() };
        pace.note(120_000, at(0));
        assert_eq!([0, 99_999, 100_000].map(|given| pace.due(given, at(0))), [20, 20, 60].map(|ms| Some(at(ms))));
    }

    #[test]
    fn what_children_are_sent_counts_and_is_forgotten_after_a_second() {
        let mut pace = Pace { rate: 1_000_000, ..Pace::default() };
        pace.note(5_000_000, at(0));
        assert_eq!(pace.due(0, at(0)), Some(at(940)));
        pace.note(5_000_000, at(940));
        assert_eq!(pace.due(0, at(940)), None);
    }
}
