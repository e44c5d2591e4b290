//! Ladder policies: what becomes of those who cannot keep up. The trait is in `peerstream-overlay`.

pub use peerstream_overlay::{LEAVES_MAX, LadderPolicy, Overload, Rung};

/// A policy as the coordinator holds it.
pub type BoxedLadder = Box<dyn LadderPolicy + Send>;
