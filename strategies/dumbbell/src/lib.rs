//! The balanced dumbbell: two parallel binary trees, older nodes higher.
//!
//! Positions are numbered like a binary heap. Each has two places, A and B; the two nodes there are a *dumbbell* and
//! back each other up. A newcomer takes the shallowest free place; when a node leaves, the older of its two children
//! moves up, and so on down to a leaf. So old nodes rise, nobody else moves, and sessions being as heavy-tailed as they
//! are, the nodes at the top are those that will stay.
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
mod backups;
mod chance;
mod dumbbell;
mod edges;
mod explain;
mod helpers;
mod leaves;
mod node;
mod pairs;
mod place;
mod place_set;
mod retry;
mod tree;

pub use dumbbell::{Config, Counters, Dumbbell, Roots};
pub use place::{Forest, Place, ROOT_PAIRS_MAX};
