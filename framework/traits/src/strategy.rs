//! Tree strategies: who feeds whom. The trait is in `peerstream-overlay`, where it can be used without anything that has
//! effects.

pub use peerstream_overlay::{Context, Event, Group, Op, Plan, Topology, TreeStrategy};

/// A strategy as the coordinator holds it; what it is called stands in the config.
pub type BoxedStrategy = Box<dyn TreeStrategy + Send>;
