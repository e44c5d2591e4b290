//! Live input over RTMP, classic and enhanced: OBS, ffmpeg, Larix and others publish to it.
//!
//! `ingest.rs` listens, `connection.rs` carries bytes between a socket and two values without input or output of their own: a
//! `session.rs` talks RTMP with the encoder, a `publication.rs` makes units of what it sends. Nothing is decoded or encoded.

mod amf;
mod chunk;
mod clock;
mod config;
mod connection;
mod flv;
pub mod fuzz;
mod handshake;
mod ingest;
mod pace;
mod publication;
mod session;
mod strikes;

peerstream_sdk::export_plugin! { ingest: Rtmp }

pub use config::Config;
pub use ingest::Rtmp;
