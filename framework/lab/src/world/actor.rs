//! A node and what surrounds it: its place and line, its end of each link, what it got and showed.

use peerstream_node::{LinkId, Node};
use peerstream_protocol::control::Reason;
use peerstream_protocol::id::Seq;
use peerstream_protocol::time::Micros;

use crate::conductor::Conn;
use crate::memo::Memo;
use crate::network::Access;
use crate::player::Player;
use crate::replay::Replay;
use crate::wire::Wire;

/// A node of the world, dead or alive; 0 is the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ActorId(pub usize);

impl ActorId {
    /// The source.
    pub const SOURCE: Self = Self(0);
}

/// What a viewer got.
#[derive(Clone, Debug, Default)]
pub struct Received {
    /// The first segment delivered.
    pub first: Option<Seq>,
    /// The next segment in order.
    pub next: Seq,
    /// Segments given up.
    pub skipped: u64,
    /// Deliveries that were not the next segment, or whose bytes were not the source's.
    pub wrong: u64,
    /// When the first one came.
    pub first_at: Micros,
    /// When the last one came.
    pub last_at: Micros,
    /// When the last mass failure was.
    pub(super) failed_at: Micros,
    /// The end so far of the outage that came of it.
    pub(super) fed_again_at: Option<Micros>,
    /// The longest time between two deliveries.
    pub longest_gap: Micros,
    /// What is delivered next need not go on from the last.
    pub turned: bool,
    /// The epoch has ended.
    pub ended: bool,
    /// The coordinator's last refusal.
    pub refused: Option<Reason>,
    /// How often it was refused.
    pub refusals: u32,
}

/// Whoever was fed without a silence for this long is fed again.
const FED: Micros = Micros::from_secs(1);
/// Whoever is fed that long after a mass failure is cut off by another one.
const FELT: Micros = Micros::from_secs(2);

impl Received {
    /// A mass failure: it is looked for when this viewer is fed again.
    pub(crate) fn mark(&mut self, now: Micros) {
        (self.failed_at, self.fed_again_at) = (now, None);
    }

    /// Another delivery, not yet noted.
    pub(crate) fn go_on(&mut self, now: Micros, segment: Micros) {
        self.longest_gap = self.longest_gap.max(now.since(self.last_at));
        self.fed_again_at = self.fed_again_at(now, segment);
    }

    /// The end of the outage that came of the last mass failure: of its last silence before a second without one, and now while that
    /// lasts. A silence is no delivery for more than two segments' time; what comes of the failure begins within [`FELT`].
    pub fn fed_again_at(&self, now: Micros, segment: Micros) -> Option<Micros> {
        let over = match self.fed_again_at {
            Some(at) => self.last_at.since(at) >= FED,
            None => self.last_at > self.failed_at + FELT,
        };
        let silent = !over && now.since(self.last_at).0 > 2 * segment.0;
        if silent { Some(now) } else { self.fed_again_at }
    }
}

/// How a node goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Departure {
    /// Nothing is said, and nothing closes.
    Silent,
    /// The system ends the control connection; links just fall silent.
    Closed,
    /// It says goodbye.
    Announced,
}

/// Who joins.
#[derive(Clone, Copy, Debug)]
pub struct Newcomer {
    /// Its place and line.
    pub access: Access,
    /// Whether it says that it may relay.
    pub relay: bool,
    /// Children it offers to feed.
    pub capacity: u8,
}

/// What a node does wrong without knowing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flaw {
    /// It forwards nothing and believes that it does.
    pub mute: bool,
    /// What it forwards goes out this much late.
    pub late: Micros,
}

/// A node and what surrounds it.
#[derive(Debug)]
pub struct Actor {
    /// None once it has gone.
    pub(super) node: Option<Box<Node<Memo>>>,
    /// Its place and line.
    pub access: Access,
    /// What it does wrong.
    pub flaw: Flaw,
    /// A fault of its own has struck it, whichever.
    pub flawed: bool,
    /// Children it offers to feed.
    pub capacity: u8,
    /// When it opened the page.
    pub joined: Micros,
    pub(super) frozen_until: Micros,
    pub(super) conn: Option<Conn>,
    pub(super) wires: Vec<(LinkId, Wire)>,
    /// What of starters is under way to it over the control connection.
    pub(super) control_wire: Wire,
    pub(super) uplink_free: Micros,
    pub(super) downlink_free: Micros,
    /// When the node wants its timer, and when the next one is in the queue.
    pub(super) timer: Micros,
    pub(super) timer_queued: Option<Micros>,
    /// What it got.
    pub received: Received,
    /// What was shown.
    pub player: Player,
    /// What is shown to one that has gone back in time.
    pub replay: Option<Replay>,
    /// How often it has asked the archive, or said that it wants no more.
    pub(super) fetch: u32,
    /// What went out, in bytes on the line.
    pub sent: u64,
    /// The longest wait for the uplink since somebody asked.
    pub queued_max: Micros,
    /// The level it was last seen fed at; 0 for the roots.
    pub level: u8,
}

impl Actor {
    /// Whether it is there.
    pub fn is_alive(&self) -> bool {
        self.node.is_some()
    }

    /// Whether nothing in it runs at this time.
    pub fn is_frozen(&self, now: Micros) -> bool {
        self.frozen_until > now
    }

    pub(super) fn wire(&mut self, link: LinkId) -> Option<&mut Wire> {
        self.wires.iter_mut().find(|(id, _)| *id == link).map(|(_, wire)| wire)
    }

    /// The nodes at the other ends of its open links, with when each last delivered a piece.
    pub fn open_links(&self) -> impl Iterator<Item = (ActorId, Micros)> {
        let open = self.wires.iter().filter(|(_, wire)| wire.open);
        open.filter_map(|(_, wire)| wire.other.map(|(other, _)| (ActorId(other), wire.fed)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEGMENT: Micros = Micros::from_millis(200);

    /// When a viewer that got segments at these times, in ms from a mass failure, was fed again, asked at the end.
    fn fed_again_ms(times_ms: impl IntoIterator<Item = u64>, asked_ms: u64) -> Option<u64> {
        let mut received = Received::default();
        received.mark(Micros(0));
        for now in times_ms.into_iter().map(Micros::from_millis) {
            received.go_on(now, SEGMENT);
            received.last_at = now;
        }
        received.fed_again_at(Micros::from_millis(asked_ms), SEGMENT).map(|at| at.0 / 1_000)
    }

    fn steady(from: u64, to: u64) -> impl Iterator<Item = u64> {
        (from..=to).step_by(200)
    }

    #[test]
    fn who_gets_a_segment_at_least_every_other_time_was_never_cut_off() {
        assert_eq!(fed_again_ms((0..20).map(|n| 400 * n), 7_900), None);
    }

    #[test]
    fn a_silence_within_a_second_of_another_one_is_the_same_outage_and_a_later_one_is_not() {
        let times = steady(0, 1_000).chain(steady(2_000, 2_800)).chain(steady(3_300, 9_000));
        assert_eq!(fed_again_ms(times, 9_000), Some(3_300));
        let times = steady(0, 1_000).chain(steady(2_000, 3_000)).chain(steady(3_700, 9_000));
        assert_eq!(fed_again_ms(times, 9_000), Some(2_000));
    }

    #[test]
    fn who_was_fed_for_two_seconds_after_a_failure_is_cut_off_by_another_one() {
        assert_eq!(fed_again_ms(steady(0, 2_200).chain(steady(4_000, 9_000)), 9_000), None);
        assert_eq!(fed_again_ms(steady(0, 1_800).chain(steady(4_000, 9_000)), 9_000), Some(4_000));
    }

    #[test]
    fn an_outage_that_lasts_ends_now() {
        assert_eq!(fed_again_ms([0, 200, 400], 5_000), Some(5_000));
    }
}
