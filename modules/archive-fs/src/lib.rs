//! Recordings in a folder: signed segments with their index and a manifest.
//!
//! Each recording is a folder, `STREAM-EPOCH`, with
//!
//! - `meta.json`: which broadcast it is, with the publisher's certificate;
//! - `segments.dat`: what was kept, one entry after the other as it came, each with its lengths and a checksum, see `entry.rs`;
//! - `segments.idx`: where each entry is, so that a start need not read all of the data;
//! - `restrictions.json`: what is withheld;
//! - `manifest.json`: what it holds, with its gaps, since it was last finished.
//!
//! What [`put`](peerstream_sdk::traits::archive::ArchiveBackend::put) has answered is on the disk: the data is synced before. The index is
//! not: at the next start entries beyond it are read from the data, and an entry that a crash has cut short is removed.

mod config;
mod data;
mod entry;
mod files;
mod fs;
mod index;
mod recording;
mod restrictions;

peerstream_sdk::export_plugin! { archive: Fs }

pub use config::{Config, Sync};
pub use fs::Fs;
