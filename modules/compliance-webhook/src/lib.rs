//! Complaints are decided by a platform's own workflow: each case is posted to an address of the platform, signed, and the answer is the decision.
//!
//! It decides nothing by itself, and what cannot be asked stays open. What the platform sees and how it checks the signature is in
//! `docs/takedown.md`; an example of such a platform is in `examples/takedown-webhook`.

mod client;
mod config;
mod signature;
mod webhook;

peerstream_sdk::export_plugin! { compliance: Webhook }

pub use config::Config;
pub use signature::{HEADER, signature};
pub use webhook::Webhook;
