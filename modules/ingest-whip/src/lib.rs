//! Live input over WebRTC: WHIP (RFC 9725), spoken by browsers, OBS 30 and later, GStreamer and others.
//!
//! An offer comes in over HTTP and is answered with all addresses at once. Then RTP is put in order ([`reorder`]), H.264 is taken
//! out of it ([`pictures`]), both clocks are brought together ([`times`]), and the muxer makes fragments of it.
//! Taken are H.264 and Opus, which is what every browser can send and play.

mod config;
mod connection;
pub mod fuzz;
pub mod pictures;
pub mod reorder;
mod reports;
mod session;
pub mod times;
mod whip;

peerstream_sdk::export_plugin! { ingest: Whip }

pub use config::Config;
pub use whip::Whip;
