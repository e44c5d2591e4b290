//! PeerStream as a library: live streams that their viewers relay to each other.
//!
//! [`peer`] drives one node over real sockets, [`broadcast`] runs a source with its coordinator. Both take their
//! transport, ingest and tree strategy from the application: nothing here names one. Decisions are made by the node
//! and the coordinator, which are plain values; what is here only carries them out, and every queue has a bound.
//!
//! Watching a stream:
//!
//! ```no_run
//! # async fn example(transport: peerstream::SharedTransport) -> Result<(), Box<dyn std::error::Error>> {
//! use peerstream::control::Endpoint;
//! use peerstream::output::Delivery;
//! use peerstream::peer::{self, Config};
//!
//! let endpoint = Endpoint::websocket("ws://127.0.0.1:8080/api/v1/control")?;
//! let (peer, mut deliveries) = peer::spawn(Config::viewer(vec![endpoint], transport));
//! while let Some(delivery) = deliveries.next().await {
//!     match delivery {
//!         Delivery::Segment { bytes, .. } => println!("{} bytes", bytes.len()),
//!         Delivery::Ended => break,
//!         _ => {}
//!     }
//! }
//! peer.leave().await;
//! # Ok(())
//! # }
//! ```

pub mod broadcast;
pub mod clock;
pub mod control;
mod enforcement;
mod feed;
pub mod figures;
mod guarded;
pub mod hub;
pub mod ice;
mod intake;
pub mod key;
mod links;
mod logbook;
pub mod output;
pub mod peer;
pub mod plugins;
pub mod recent;
pub mod takedown;
mod withholding;

pub use feed::MoreFigures;
pub use peerstream_coordinator as coordinator;
pub use peerstream_node as node;
pub use peerstream_overlay as overlay;
pub use peerstream_protocol as protocol;
pub use peerstream_recording as recording;
pub use peerstream_traits as traits;
pub use peerstream_traits::transport::SharedTransport;

/// 32 bytes of the operating system's randomness.
pub(crate) fn random_seed() -> [u8; 32] {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).expect("the operating system provides randomness");
    seed
}
