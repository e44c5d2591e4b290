//! The node as a value: links, window, relay, buddy, repair, playout.
//!
//! A driver hands in an [`Input`] and the time and carries out the [`Output`]s. There is no socket, task, clock or
//! global randomness inside, so the same code runs in the native peer, in the browser and in the simulator.

mod ask;
pub mod bridge;
mod chance;
mod clock;
mod control;
mod course;
mod delivery;
mod fallback;
mod feed;
mod few;
pub mod fuzz;
mod guests;
mod inits;
mod intake;
mod io;
mod jitter;
mod kept;
mod latency;
mod link;
mod links;
mod live;
mod node;
mod pace;
mod past;
pub mod reconciler;
mod serve;
mod source;
mod starter;
mod train;
mod uplink;
mod window;

pub use io::{Config, Input, Keeping, LinkId, Output, Payload, PlayerState, Playout, Produced, Resume, Side, Source};
pub use node::{Counters, Node, Status};
pub use past::{Behind, Evidence};
pub use uplink::UPLINK_EIGHTHS;
