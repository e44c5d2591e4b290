//! Those who cannot keep up go down one step at a time.
//!
//! Leaves for which there is no place go at once: how many is known. Of those that struggle a few go at a time, once too many have struggled
//! for a while, and the next ones only after the effect on the rest could be seen. One that went down stays where it is for a while; when it
//! still struggles then, it is turned away.

mod config;
mod step_down;

peerstream_sdk::export_plugin! { ladder: StepDown }

pub use config::Config;
pub use step_down::{REMEMBERED_MAX, StepDown};
