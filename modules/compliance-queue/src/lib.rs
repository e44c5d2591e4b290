//! Complaints wait in a folder for a person to decide: one file of JSON for each case and revision.
//!
//! It decides nothing by itself. A person reads the files, acts, and moves them away. A case that comes again, after a failure for example,
//! is the same file.

mod config;
mod queue;

peerstream_sdk::export_plugin! { compliance: Queue }

pub use config::Config;
pub use queue::Queue;
