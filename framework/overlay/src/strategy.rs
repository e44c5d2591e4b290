//! The trait of those who decide who feeds whom.

use peerstream_protocol::id::NodeId;
use peerstream_protocol::time::Micros;

use crate::plan::Plan;
use crate::topology::Topology;
use crate::validate::Reject;

/// What a strategy may look at. The topology already includes the events and everything committed.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// Members and target edges.
    pub topology: &'a Topology,
    /// Now, microseconds since 1970 on the coordinator's clock.
    pub now: Micros,
    /// The node the roots are fed by.
    pub source: NodeId,
}

/// Something a strategy should know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Event {
    /// A member without edges is there.
    Joined(NodeId),
    /// A member is gone, and its edges with it.
    Left(NodeId),
    /// A member's capacity, whether it relays, or whether its uplink was measured, has changed.
    Changed(NodeId),
    /// `a` could not open a link to `b`.
    LinkFailed {
        /// Who tried.
        a: NodeId,
        /// Whom it could not reach.
        b: NodeId,
    },
    /// The coordinator judged that this member serves worse than it should. It is told again while that lasts.
    Underperforms(NodeId),
    /// One of two nodes measured the round trip on the link between them: told when it is first known and when it has
    /// clearly changed, and only to a strategy that [wants it](TreeStrategy::wants_round_trips).
    RoundTrip {
        /// One of them.
        a: NodeId,
        /// The other one; either may be the source.
        b: NodeId,
        /// Milliseconds, at least 1. What nodes say, so it may be wrong.
        rtt_ms: u16,
    },
    /// A group of the last plan was not committed; the target edges are as the topology shows them.
    Rejected {
        /// The group's index in that plan.
        group: usize,
        /// Why.
        reason: Reject,
    },
    /// A second or so has passed.
    Tick,
}

/// How many nodes a strategy has moved to another place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moved {
    /// All that had a place before.
    pub all: u64,
    /// Those of them that were moved although nothing asked for it.
    pub to_optimise: u64,
}

/// Decides who feeds whom. Synchronous, deterministic and pure: the same calls give the same plans.
///
/// No clock, no randomness, no threads, no I/O, no iteration over hash maps. A bad plan is rejected group by group and
/// never breaks a tree; a strategy that hears of a rejection starts again from the topology it is shown.
pub trait TreeStrategy {
    /// Takes over a topology, empty or running, of whatever shape. Called once, before anything else, and again when
    /// the coordinator wants a fresh start; what the strategy remembered until then is to be forgotten.
    fn attach(&mut self, context: &Context<'_>, plan: &mut Plan);

    /// Answers events with a plan. Several events may come at once; a node may have left again before its joining is
    /// told.
    fn on_events(&mut self, context: &Context<'_>, events: &[Event], plan: &mut Plan);

    /// Why it cannot be used any more, for people; the coordinator then puts another strategy in its place. For those that
    /// stand in for code that may fail, such as a loaded library.
    fn failure(&self) -> Option<String> {
        None
    }

    /// Whether it wants to be told of [`Event::RoundTrip`].
    fn wants_round_trips(&self) -> bool {
        false
    }

    /// Members for whom there is no place because too few others can feed them.
    fn waiting(&self) -> usize {
        0
    }

    /// What it has moved so far, for figures.
    fn moved(&self) -> Moved {
        Moved::default()
    }

    /// Names the node's place in a word, such as `A5`.
    fn place(&self, _node: NodeId) -> Option<String> {
        None
    }

    /// Says in a sentence or two where the node is and why.
    fn explain(&self, _node: NodeId) -> Option<String> {
        None
    }
}
