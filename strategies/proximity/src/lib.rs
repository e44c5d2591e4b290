//! Dumbbells of nodes that are near each other.
//!
//! The rules are those of the [balanced dumbbell](peerstream_dumbbell): two balanced trees, pairs that back each other up, weak
//! nodes as leaves, helpers elsewhere. Where they leave a choice, it is made by what viewers lag: which open place a newcomer
//! takes, which of two children rises into a gap, and, within a budget of moves, which two nodes change places.
//! `docs/placement.md` has the rules.
//!
//! How far nodes are from each other is guessed from network coordinates, which the round trips of existing links feed. Nothing
//! else is known: no matrix, no map. Nodes of one network share a coordinate, so that a newcomer from a known network has
//! one before it has measured anything.
//!
//! # Cost
//!
//! A join looks at the open places, at most some sixteen thousand of them; a search for an exchange at some nine thousand
//! pairs, once per ten departures. Each tick goes through what some nodes have measured once more, and through all places once.
//!
//! ```
//! use peerstream_proximity::Proximity;
//! use peerstream_sdk::overlay::{Context, Event, Member, Plan, Topology, TreeStrategy};
//! use peerstream_sdk::protocol::id::NodeId;
//! use peerstream_sdk::protocol::time::Micros;
//!
//! let mut topology = Topology::new(2);
//! let mut strategy = Proximity::default();
//! let mut tell = |topology: &mut Topology, event: Event| {
//!     let mut plan = Plan::default();
//!     let context = Context { topology, now: Micros(1), source: NodeId::SOURCE };
//!     strategy.on_events(&context, &[event], &mut plan);
//!     plan.groups().iter().for_each(|group| topology.commit(group).unwrap());
//! };
//! for n in 1..=2 {
//!     topology.insert(NodeId(n), Member::default().with_network(n)).unwrap();
//!     tell(&mut topology, Event::Joined(NodeId(n)));
//! }
//! for (a, b, rtt_ms) in [(1, 0, 100), (2, 0, 100), (1, 2, 200)].repeat(20) {
//!     tell(&mut topology, Event::RoundTrip { a: NodeId(a), b: NodeId(b), rtt_ms });
//! }
//! topology.insert(NodeId(3), Member::default().with_network(2)).unwrap();
//! tell(&mut topology, Event::Joined(NodeId(3)));
//! assert_eq!(topology.get(NodeId(3)).unwrap().parent(), Some(NodeId(2)));
//! ```

mod coordinate;
mod exchange;
mod joining;
mod known;
mod nearness;
mod survey;

pub use nearness::{Budget, Nearness};
use peerstream_dumbbell::Paired;

peerstream_sdk::export_plugin! { strategy: Proximity }

/// The strategy.
pub type Proximity = Paired<Nearness>;
