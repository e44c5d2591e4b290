//! Wire types of PeerStream: ids, time, segments, frames, control messages.

pub mod frame;
pub mod segment;
