//! Two trees, one for each half of the segments.
//!
//! Tree A carries the even segments, tree B the odd ones. A viewer feeds others in one of them, its *home*: two, each
//! half of the stream, so that it uploads about what it watches. In the other tree it is a leaf. A viewer that does not
//! relay is a leaf of both. `docs/placement.md` has all the rules.
//!
//! Both trees are binary heaps below the source: who feeds others is at the top, leaves are at the bottom, and nearly
//! all places are taken. What is lacking, because some do not relay or have just left, is lent by those with room for
//! more than two; all but a few get places as soon as there are any.
//!
//! There are no pairs that back each other up. For each half a viewer keeps a link to its grandparent in that tree.
//!
//! # Cost
//!
//! Places and viewers are in ordered maps; an event costs some look-ups for each of the few it touches.
//!
//! ```
//! use peerstream_sdk::overlay::{Context, Event, Member, Plan, Topology, TreeStrategy};
//! use peerstream_sdk::protocol::id::{NodeId, Stripes};
//! use peerstream_sdk::protocol::time::Micros;
//! use peerstream_striped::Striped;
//!
//! let mut topology = Topology::new(2);
//! let mut strategy = Striped::default();
//! for n in 1..=6 {
//!     topology.insert(NodeId(n), Member::new(2, true, Micros(n))).unwrap();
//!     let mut plan = Plan::default();
//!     let context = Context { topology: &topology, now: Micros(n), source: NodeId::SOURCE };
//!     strategy.on_events(&context, &[Event::Joined(NodeId(n))], &mut plan);
//!     plan.groups().iter().for_each(|group| topology.commit(group).unwrap());
//! }
//! assert_eq!(strategy.place(NodeId(1)).unwrap(), "A1/b4");
//! let [even, odd] = [Stripes(1), Stripes(2)].map(|half| topology.get(NodeId(1)).unwrap().parent_of(half));
//! assert_eq!((even, odd), (Some(NodeId::SOURCE), Some(NodeId(4))));
//! ```

mod adopt;
mod clearing;
mod edges;
mod explain;
mod forest;
mod pairs;
mod place;
mod side;
mod striped;
mod tree;
mod upkeep;

peerstream_sdk::export_plugin! { strategy: Striped }

pub use striped::Striped;
