//! Topology, plans, their validation, and the traits of the synchronous deciders.
//!
//! A strategy answers [`Event`]s with a [`Plan`]: groups of target edges. [`Topology::commit`] checks each group as a
//! whole and takes it or leaves it. Pure: no I/O, no clock, no randomness. It never touches a link; carrying the
//! target edges out is the coordinator's business.
//!
//! ```
//! use peerstream_overlay::{Member, Plan, Reject, Topology};
//! use peerstream_protocol::id::{NodeId, Stripes};
//!
//! let mut topology = Topology::new(2);
//! let (a, b) = (NodeId(1), NodeId(2));
//! topology.insert(a, Member::default()).unwrap();
//! topology.insert(b, Member::default()).unwrap();
//!
//! let mut plan = Plan::default();
//! plan.group().set_parent(a, Stripes::ALL, NodeId::SOURCE).set_parent(b, Stripes::ALL, a);
//! plan.group().set_parent(a, Stripes::ALL, b);
//! let verdicts: Vec<_> = plan.groups().iter().map(|group| topology.commit(group)).collect();
//! assert!(verdicts[0].is_ok());
//! assert_eq!(verdicts[1], Err(Reject::Cycle(a)));
//! assert_eq!(topology.depth(b), Some(2));
//! ```

mod ladder;
pub mod maybe;
mod plan;
pub mod roster;
mod strategy;
mod topology;
mod validate;

pub use ladder::{InBatches, LEAVES_MAX, LadderPolicy, Overload, Rung};
pub use plan::{GROUP_OPS_MAX, Group, Op, Plan, STANDBYS_MAX, Standbys};
pub use strategy::{Context, Event, Moved, TreeStrategy};
pub use topology::{Member, Topology};
pub use validate::{Reject, STANDBY_CLIENTS_MAX};
