//! A recording that can be played: the codec header and then the media, in one file.
//!
//! The file is clean at any moment, also when the process is killed: a fragment is written inside a box that players skip, and becomes
//! visible by one write of four bytes when it is there as a whole. A file is never written over: when there is one already, and
//! when the codec changes, the next one has a number, `show-2.mp4`.

mod config;
mod file;
mod tape;

peerstream_sdk::export_plugin! { archive: File }

pub use config::{Config, Sync};
pub use file::File;
pub use tape::Tape;
