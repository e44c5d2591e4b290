//! Media as bytes, for whoever brings a stream in: no input or output of its own, and nothing is decoded or encoded.
//!
//! [`Cutter`] cuts fragmented MP4 into units and changes nothing in it but the times and numbers of fragments:
//!
//! ```
//! use peerstream_media::Cutter;
//!
//! let mut cutter = Cutter::new();
//! let error = cutter.push(b"OggS\0\x02\0\0").unwrap_err();
//! assert!(error.to_string().starts_with("fragmented MP4 expected, found Ogg"));
//! assert_eq!(cutter.poll(), None);
//! ```

mod aac;
mod advice;
mod av1;
mod avc;
mod bits;
pub mod boxes;
pub mod codec;
pub mod cutter;
pub mod format;
pub mod fragment;
pub mod fuzz;
mod group;
mod hevc;
pub mod init;
pub mod mux;
pub mod opus;
pub mod shift;
mod sniff;
mod timeline;

pub use cutter::Cutter;
pub use mux::Muxer;

/// The muxer flags that the input needs.
pub const MOVFLAGS: &str = "frag_every_frame+empty_moov+default_base_moof";
/// What to type for a live input.
pub const FFMPEG_COMMAND: &str = "ffmpeg -i INPUT -c:v libx264 -preset veryfast -tune zerolatency -pix_fmt yuv420p -g 30 -sc_threshold 0 -bf 0 -c:a aac -movflags frag_every_frame+empty_moov+default_base_moof -f mp4 - | peerstream serve";
/// What to type to repackage an MP4 without encoding it.
pub const FFMPEG_REMUX: &str =
    "ffmpeg -i INPUT -c copy -movflags frag_every_frame+empty_moov+default_base_moof -f mp4 OUTPUT.mp4";
