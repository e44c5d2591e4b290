//! The node itself.

use peerstream_protocol::control::Figures;
use peerstream_protocol::crypto::{PublicKey, Strict, Verifier};
use peerstream_protocol::id::{Epoch, NodeId, Seq};
use peerstream_protocol::segment::Init;
use peerstream_protocol::time::Micros;

use crate::io::{Config, Input, Output};

/// A node of one stream and rendition.
#[derive(Debug)]
pub struct Node<V: Verifier = Strict> {
    verifier: V,
    config: Config,
}

/// What a node can show people about itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// Its name, once welcomed.
    pub node: Option<NodeId>,
    /// The publisher's key, once known.
    pub stream: Option<PublicKey>,
    /// The broadcast, once known.
    pub epoch: Option<Epoch>,
    /// Whether the coordinator answers.
    pub control: bool,
    /// Who feeds it.
    pub feeders: Vec<NodeId>,
    /// Whom it feeds.
    pub fed: Vec<NodeId>,
    /// Who would feed it if its parent failed.
    pub backup: Option<NodeId>,
    /// Open links.
    pub links: usize,
    /// May relay.
    pub relay: bool,
    /// Counters.
    pub figures: Figures,
}

impl Node<Strict> {
    /// A node that checks everything. The first outputs are there at once.
    pub fn new(config: Config, now: Micros) -> Self {
        Self::with_verifier(config, now, Strict::default())
    }
}

impl<V: Verifier> Node<V> {
    /// A node with another way to check, for simulators.
    pub fn with_verifier(config: Config, _now: Micros, verifier: V) -> Self {
        Self { verifier, config }
    }

    /// Takes a fact. Drain [`Self::poll`] before the next one: outputs refer to segments that it may evict.
    pub fn handle(&mut self, _now: Micros, _input: Input<'_>) {
        let _ = (&mut self.verifier, &self.config);
    }

    /// Gives the next order.
    pub fn poll(&mut self) -> Option<Output> {
        None
    }

    /// The frame of one piece, for [`crate::Payload::Piece`].
    pub fn piece_frame(&self, _seq: Seq, _index: u8) -> Option<&[u8]> {
        None
    }

    /// Appends the payload of a delivered segment to `out`; false when it is gone.
    pub fn payload(&self, _seq: Seq, _out: &mut Vec<u8>) -> bool {
        false
    }

    /// The init of the segments being delivered.
    pub fn init(&self) -> Option<&Init> {
        None
    }

    /// The ICE servers for new links.
    pub fn ice(&self) -> &[String] {
        &[]
    }

    /// What to show people.
    pub fn status(&self) -> Status {
        Status::default()
    }
}
