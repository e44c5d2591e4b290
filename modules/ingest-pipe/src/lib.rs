//! Live input from a pipe or a file: fragmented MP4 is cut into units, any other bytes are passed on as data.

mod config;
mod data;
mod pace;
mod pipe;
mod reader;

peerstream_sdk::export_plugin! { ingest: Pipe }

pub use config::{Config, InputKind};
pub use data::{DATA_UNIT_AGE_MAX, DATA_UNIT_BYTES};
pub use pipe::Pipe;
