//! Topology, plans, their validation, and the traits of the synchronous deciders.
