//! Live input from a pipe or a file: fragmented MP4 is cut into units, any other bytes are passed on as data.
//!
//! [`Pipe`] is the ingest: it reads, keeps time and sends events. [`Cutter`] is the pure part, for any driver:
//!
//! ```
//! use peerstream_ingest_pipe::Cutter;
//!
//! let mut cutter = Cutter::new();
//! let error = cutter.push(b"OggS\0\x02\0\0").unwrap_err();
//! assert!(error.to_string().starts_with("fragmented MP4 expected, found Ogg"));
//! assert_eq!(cutter.poll(), None);
//! ```
//!
//! It never decodes or encodes, and changes nothing in the media but the times and numbers of fragments.

mod advice;
pub mod boxes;
pub mod codec;
mod config;
pub mod cutter;
mod data;
pub mod fragment;
pub mod fuzz;
mod group;
pub mod init;
mod pace;
mod pipe;
mod reader;
mod sniff;
mod timeline;

peerstream_sdk::export_plugin! { ingest: Pipe }

pub use config::{Config, InputKind};
pub use cutter::Cutter;
pub use data::{DATA_UNIT_AGE_MAX, DATA_UNIT_BYTES};
pub use pipe::Pipe;

/// The muxer flags that the input needs.
pub const MOVFLAGS: &str = "frag_every_frame+empty_moov+default_base_moof";
/// What to type for a live input.
pub const FFMPEG_COMMAND: &str = "ffmpeg -i INPUT -c:v libx264 -preset veryfast -tune zerolatency -pix_fmt yuv420p -g 30 -sc_threshold 0 -bf 0 -c:a aac -movflags frag_every_frame+empty_moov+default_base_moof -f mp4 - | peerstream serve";
/// What to type to repackage an MP4 without encoding it.
pub const FFMPEG_REMUX: &str =
    "ffmpeg -i INPUT -c copy -movflags frag_every_frame+empty_moov+default_base_moof -f mp4 OUTPUT.mp4";
