//! The simulator: a deterministic, discrete-event driver of the same node and coordinator that viewers run.
//!
//! One seed reproduces everything. The network, the control channel and the faults are simulated; what decides is not.

mod audience;
pub mod chance;
pub mod checkers;
pub mod conductor;
pub mod coordinated;
pub mod data;
mod measures;
pub mod memo;
pub mod network;
mod past;
pub mod player;
mod quantiles;
pub mod queue;
pub mod replay;
pub mod report;
mod run;
pub mod scenario;
pub mod script;
mod wire;
pub mod world;

pub use conductor::Conductor;
pub use coordinated::Coordinated;
pub use data::Data;
pub use network::Network;
pub use report::Report;
pub use run::{Progress, run};
pub use scenario::Scenario;
pub use world::{ActorId, World};
