//! Live input through a supervised ffmpeg: SRT, RTSP, HLS, files, a test picture; any codec to H.264 and AAC or Opus.
//!
//! A child reads the input and writes fragmented MP4, which is cut into units. A publication is on air from the child's first
//! bytes to its end; then the child is started again, after pauses that grow.

mod arguments;
mod codecs;
mod config;
mod ingest;
mod input;
mod run;

peerstream_sdk::export_plugin! { ingest: Ffmpeg }

pub use config::{AudioChoice, Config, Pace, VideoChoice};
pub use ingest::Ffmpeg;
