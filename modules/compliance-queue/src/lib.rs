//! A person decides: every case waits at the operator's desk.

mod queue;

peerstream_sdk::export_plugin! { compliance: Queue }

pub use queue::Queue;
