//! The extension points: what a plug-in is, and one trait for each kind of it.
//!
//! *Deciders* (tree strategies, ladder policies) are synchronous, deterministic and pure. *Doers* have effects: sockets,
//! files, processes. A doer lives in a crate under `modules/`, a decider under `strategies/`; both state who they are in
//! [`Plugin`], what they can be told in their [`PluginConfig`], and are found by kind and name.
//!
//! Queues, batches, retries, timeouts and metrics are put around an instance by the runtime and are the same for all;
//! no plug-in contains them.

pub mod admission;
pub mod archive;
pub mod casebook;
pub mod compliance;
mod error;
pub mod ingest;
mod kind;
pub mod ladder;
mod lifecycle;
pub mod mail;
mod plugin;
mod registration;
mod secret;
mod stage;
pub mod strategy;
pub mod telemetry;
pub mod transport;

pub use error::{ErrorClass, PluginError};
pub use kind::Kind;
pub use lifecycle::{Health, Lifecycle, Reload};
pub use peerstream_takedown as takedown;
pub use plugin::{BuildContext, NoOptions, Plugin, PluginConfig, Stability, Violation, Violations};
pub use registration::{Build, Facts, Registration};
pub use secret::Secret;

/// What the macros of the SDK use.
#[doc(hidden)]
pub use inventory;
