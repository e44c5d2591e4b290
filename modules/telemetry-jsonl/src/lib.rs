//! Records as lines of JSON in a file.
//!
//! One record is one line. A file that has grown to its bound is renamed (`telemetry.jsonl.1` is the latest of the old ones) and a new
//! one begun, so the space it takes is bounded. A write that fails leaves no part of a batch behind; a line that a crash has cut short
//! is removed at the next start.

mod config;
mod file;
mod jsonl;

peerstream_sdk::export_plugin! { telemetry: Jsonl }

pub use config::Config;
pub use jsonl::Jsonl;
