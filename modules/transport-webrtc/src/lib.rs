//! Links over WebRTC data channels, between native nodes and to browsers.
//!
//! One link is one peer connection with two negotiated channels: id 0, ordered, is the control lane; id 1, unordered,
//! carries pieces; both are reliable. The set-up messages are those of `peerstream_protocol::signal`. The measured reasons for
//! the pacing, the windows and the rest are in `docs/transport.md`.
//!
//! The crate never decides whom to connect to, never retries, and keeps no frame once the owner closed a link.
//!
//! ```
//! use peerstream_transport_webrtc::{Config, WebRtc};
//!
//! let config = Config { include_loopback: false, ..Config::default() };
//! let transport = WebRtc::new(config).unwrap();
//! assert_eq!(transport.counters().links_opened, 0);
//! ```

mod address;
pub mod config;
pub mod counters;
mod flow;
mod lane;
mod link;
mod outbox;
mod pacer;
mod peer;
mod session;
mod socket;
pub mod stun;

use std::sync::Arc;

use peerstream_sdk::prelude::*;
use peerstream_sdk::traits::transport::{IceServers, Link, LinkEvent, Side, Transport};
use tokio::sync::mpsc;

pub use crate::config::{Config, Ports};
pub use crate::counters::{Counters, Snapshot};
use crate::socket::PacedRuntime;

/// The transport. One per process; clones share counters and ports.
#[derive(Clone, Debug)]
pub struct WebRtc {
    shared: Arc<Shared>,
}

/// What all links of one transport share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) counters: Arc<Counters>,
    pub(crate) runtime: Arc<PacedRuntime>,
    pub(crate) ports: address::PortCursor,
}

impl WebRtc {
    /// Checks the options. Opens nothing until the first link.
    pub fn new(config: Config) -> Result<Self, PluginError> {
        let mut violations = Violations::default();
        config.validate(&mut violations);
        if !violations.is_empty() {
            return Err(PluginError::invalid(violations.to_string()));
        }
        let counters = Arc::new(Counters::default());
        let runtime = Arc::new(PacedRuntime::new(&config, Arc::clone(&counters)));
        let ports = address::PortCursor::default();
        Ok(Self { shared: Arc::new(Shared { config, counters, runtime, ports }) })
    }

    /// Returns what was counted since the start.
    pub fn counters(&self) -> Snapshot {
        self.shared.counters.snapshot()
    }
}

impl Plugin for WebRtc {
    const NAME: &'static str = "webrtc";
    const SUMMARY: &'static str = "data channels, as browsers have them";
    const STABILITY: Stability = Stability::Beta;
    type Config = Config;

    fn build(config: Config, _: &BuildContext<'_>) -> Result<Self, PluginError> {
        Self::new(config)
    }
}

peerstream_sdk::export_plugin! { transport: WebRtc }

impl Lifecycle for WebRtc {}

impl Transport for WebRtc {
    /// Must be called inside a tokio runtime; the link's tasks run there.
    ///
    /// After [`Link::close`] no event follows: the channel ends.
    fn open(&self, side: Side, servers: &IceServers, events: mpsc::Sender<LinkEvent>) -> Box<dyn Link> {
        Box::new(link::Handle::open(Arc::clone(&self.shared), side, servers, events))
    }
}
