//! Broadcasts become videos on a PeerTube site.
//!
//! Segments are written to a spool folder as parts of some minutes, each an MP4 of its own that begins with a key frame. A thread of
//! its own uploads the closed ones in order, resumably, into one playlist per broadcast. What is to be done is on the disk before it is
//! done, so that a host that was killed goes on where it was. The live stream never waits for the site: when that is away or
//! refuses, parts wait in the spool, within its bound.
//!
//! In the spool folder: `tokens.json` (readable by the owner only), `live.json`, and a folder per broadcast with `show.json`, a file
//! `0001.mp4` per part that is not uploaded, and beside one that is written `0001.idx`: what is in it, so that a crash costs at most
//! the segment under way.
//!
//! ```toml
//! [archive.videos]
//! use = "peertube"
//! config.url = "https://video.example.org"
//! config.user = "club"
//! config.password = { env = "PEERTUBE_PASSWORD" }
//! ```

mod api;
mod config;
mod failure;
mod files;
mod http;
mod index;
mod live;
mod login;
mod part;
mod peertube;
mod show;
mod spool;
mod status;
mod upload;
mod words;
mod worker;

peerstream_sdk::export_plugin! { archive: PeerTube }

pub use config::{Config, Privacy};
pub use peertube::PeerTube;
