//! Dumbbells of nodes that are near each other.

mod coordinate;
mod exchange;
mod joining;
mod known;
mod nearness;
mod survey;

pub use nearness::{Budget, Nearness};
use peerstream_dumbbell::Paired;

/// The strategy.
pub type Proximity = Paired<Nearness>;
