//! What a host hands in: instances that it has built from its config, with the options of the layers around them.

use std::sync::Arc;

use peerstream_protocol::crypto::PublicKey;
use peerstream_traits::admission::SharedPolicy;
use peerstream_traits::archive::SharedArchive;
use peerstream_traits::compliance::SharedHandler;
use peerstream_traits::telemetry::SharedSink;
use peerstream_traits::{Kind, Lifecycle};

use super::options;
use super::status::Identity;
use crate::takedown;

/// One instance, ready to be started.
pub struct Instance<P, O> {
    /// Its name in the config.
    pub name: String,
    /// The plug-in's name, such as `prometheus`.
    pub plugin_name: String,
    /// Where the plug-in comes from: a crate and its version, or a file and its hash.
    pub origin: String,
    /// The instance.
    pub plugin: P,
    /// The layers around it.
    pub options: O,
}

impl<P, O> Instance<P, O> {
    pub(crate) fn identity(&self, kind: Kind) -> Identity {
        let (name, plugin, origin) = (self.name.clone(), self.plugin_name.clone(), self.origin.clone());
        Identity { kind, name, plugin, origin }
    }
}

/// A doer that has no other layer than its supervision.
pub type Other = Instance<Arc<dyn Lifecycle>, options::Lifecycle>;

/// All plug-ins of a broadcast beside those that decide.
pub struct Plugins {
    /// The publisher's key, which names the stream.
    pub stream: PublicKey,
    /// Makes admission tickets; 32 secret random bytes, such as
    /// [`Publisher::admission_secret`](crate::key::Publisher::admission_secret).
    pub secret: [u8; 32],
    /// Sinks.
    pub telemetry: Vec<Instance<SharedSink, options::Telemetry>>,
    /// Archives.
    pub archives: Vec<Instance<SharedArchive, options::Archive>>,
    /// Handlers, in any order: they are asked in the order of their names.
    pub compliance: Vec<Instance<SharedHandler, options::Compliance>>,
    /// Where notices are taken in; needed when there are handlers.
    pub desk: Option<takedown::Setup>,
    /// The policy; everybody may join when there is none.
    pub admission: Option<Instance<SharedPolicy, options::Admission>>,
    /// Doers that have no other layer than their supervision, such as the transport.
    pub others: Vec<(Kind, Other)>,
    /// Those that have no life of their own, such as the strategy: they are only shown.
    pub shown: Vec<Identity>,
    /// Milliseconds between two figures of the same name, and two reports of the same node.
    pub figures_interval_ms: u64,
}

impl Plugins {
    /// The default for [`Self::figures_interval_ms`].
    pub const FIGURES_INTERVAL_MS: u64 = 5_000;

    /// None at all.
    pub fn none(stream: PublicKey) -> Self {
        Self {
            stream,
            secret: crate::random_seed(),
            telemetry: Vec::new(),
            archives: Vec::new(),
            compliance: Vec::new(),
            desk: None,
            admission: None,
            others: Vec::new(),
            shown: Vec::new(),
            figures_interval_ms: Self::FIGURES_INTERVAL_MS,
        }
    }
}
