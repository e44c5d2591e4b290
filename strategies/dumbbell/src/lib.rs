//! The balanced dumbbell: two parallel binary trees, older nodes higher.
//!
//! Positions are numbered like a binary heap. Each has two places, A and B; the two nodes there are a *dumbbell* and
//! back each other up. A newcomer takes the shallowest free place; when a node leaves, the older of its two children
//! moves up, and so on down to a leaf. So old nodes rise, nobody else moves, and sessions being as heavy-tailed as they
//! are, the nodes at the top are those that will stay. Nodes that cannot relay are leaves; underperforming inner nodes go to
//! the bottom. `docs/placement.md` has all the rules.
//!
//! # The source's room
//!
//! The number of children the source can feed, its capacity in the topology, decides how many dumbbells there are at the
//! top: one for two children, n for 2n ([`Forest`]). The positions are then those of n heaps side by side, and all else is as
//! with one. A small audience is fed by the source alone, a larger one grows below. With [`Roots::One`] the source feeds A1
//! alone, and A1 feeds B1 with its spare copy.
//!
//! Every other node feeds at most two, whatever its capacity.
//!
//! # Cost
//!
//! One record per node in one array, one entry per place in another, each a cache line or half of one; places as bits in
//! sets that find their first member in a few steps; and the leaves of each level ordered by age, which is brought up to date
//! when somebody is searched there. An event touches the nodes around the places that change and no others. What the events of
//! a call will touch is read first, so that cache misses overlap: told together, events cost less than one by one.
//!
//! ```
//! use peerstream_dumbbell::Dumbbell;
//! use peerstream_sdk::overlay::{Context, Event, Member, Plan, Topology, TreeStrategy};
//! use peerstream_sdk::protocol::id::NodeId;
//! use peerstream_sdk::protocol::time::Micros;
//!
//! let mut topology = Topology::new(2);
//! let mut strategy = Dumbbell::default();
//! for n in 1..=6 {
//!     topology.insert(NodeId(n), Member::new(2, true, Micros(n))).unwrap();
//!     let mut plan = Plan::default();
//!     let context = Context { topology: &topology, now: Micros(n), source: NodeId::SOURCE };
//!     strategy.on_events(&context, &[Event::Joined(NodeId(n))], &mut plan);
//!     plan.groups().iter().for_each(|group| topology.commit(group).unwrap());
//! }
//! assert_eq!(strategy.place(NodeId(5)).unwrap(), "A3");
//! assert_eq!(topology.get(NodeId(5)).unwrap().parent(), Some(NodeId(1)));
//! assert_eq!(topology.get(NodeId(5)).unwrap().backup(), Some(NodeId(6)));
//! ```

mod adopt;
mod ahead;
mod backups;
pub mod chance;
mod dumbbell;
mod edges;
mod explain;
mod helpers;
mod leaves;
mod node;
mod pairs;
mod place;
mod place_set;
mod preference;
mod retry;
mod seats;
mod tree;

peerstream_sdk::export_plugin! { strategy: Dumbbell }

pub use dumbbell::{Config, Counters, Dumbbell, Paired, Roots};
pub use place::{Forest, Place, ROOT_PAIRS_MAX};
pub use preference::{ByAge, Improvement, Peer, Preference, Seated, Trees};
