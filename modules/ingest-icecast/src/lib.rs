//! Live sound from source clients that speak Icecast: butt, Mixxx, liquidsoap, ffmpeg.
//!
//! A small listener of its own takes `PUT` and `SOURCE`, whose bodies have no length and last as long as the programme. Ogg/Opus
//! and AAC are put into fragmented MP4 as they are; MP3 and Ogg/Vorbis go through ffmpeg. Titles become those of the stream.

mod adts;
mod body;
mod comments;
mod config;
mod format;
pub mod fuzz;
mod head;
mod icecast;
mod metadata;
mod ogg;
mod pace;
mod rewrap;
mod server;
mod source;
mod transcode;

peerstream_sdk::export_plugin! { ingest: Icecast }

pub use config::Config;
pub use icecast::Icecast;
