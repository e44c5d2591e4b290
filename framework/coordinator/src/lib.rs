//! The coordinator as a value: members, targets, assignments, verdicts, signalling.
//!
//! It takes facts ([`Input`]) and the time, and gives orders ([`Output`]). It opens no socket, reads no clock and has no
//! randomness, so the same code serves a real stream and a simulated one. It never sees the stream itself.
//!
//! How nodes are told what to do is the subject of `docs/assignments.md`.

mod adoption;
mod carry;
mod checking;
mod config;
mod coordinator;
mod deciders;
mod few;
mod fuzz;
mod greeting;
mod history;
mod io;
mod ladder;
mod limits;
mod links;
mod members;
mod overview;
mod past;
mod performance;
mod place;
mod reports;
mod retiring;
mod signalling;
mod slots;
mod source_budget;
mod starter;
mod told;
mod verdicts;

pub use config::{Config, Limits};
pub use coordinator::Coordinator;
pub use deciders::Trial;
#[doc(hidden)]
pub use fuzz::fuzz_messages;
pub use history::{HAPPENED_MAX, HISTORY_MAX, Happened, Happening, Moment, STORY_MAX, Story};
pub use io::{ConnId, Input, Origin, Output};
pub use overview::{Counters, NodeOverview, Overview};
pub use performance::Fault;
pub use verdicts::Death;
