//! Broadcasts are pushed on as they happen, to any server that takes RTMP: PeerTube's live videos, Owncast, nginx-rtmp and others.
//!
//! A supervised ffmpeg repackages the broadcast without encoding it. When the server goes away it is started again after pauses that
//! grow, and goes on with the next key frame. What waits for it is bounded: a push that cannot follow leaves out whole groups of
//! pictures, which is counted. The live stream never waits.
//!
//! RTMP carries H.264 and AAC; other sound is encoded to AAC, other pictures are refused with a word.
//!
//! The stream key is in a file that only this account can read, while a child starts, and never in the child's arguments, which
//! everybody on the machine can see. The server's name and application are in those arguments.
//!
//! ```toml
//! [archive.push]
//! use = "rtmp-push"
//! config.url = "rtmp://video.example.org:1935/live"
//! config.key = { env = "STREAM_KEY" }
//! ```

mod arguments;
mod backlog;
mod config;
mod keyfile;
mod push;
mod pusher;

peerstream_sdk::export_plugin! { archive: RtmpPush }

pub use config::Config;
pub use push::RtmpPush;
pub use pusher::{Pusher, Settings, Target};
