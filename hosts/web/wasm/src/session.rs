//! One node and the orders of its last call.

use peerstream_node::{Config, Input, Node};
use peerstream_protocol::id::Seq;
use peerstream_protocol::time::Micros;

use crate::record::{Place, Record, Source, record};

/// After a call the stores keep at most this much room, in bytes; a burst gives its memory back.
const HELD_BYTES_KEPT: usize = 1024 * 1024;

/// A node with the records of its last call. They stay valid until the next one.
#[derive(Debug)]
pub struct Session {
    node: Node,
    records: Vec<Record>,
    held: Vec<u8>,
}

impl Session {
    /// A new node; its first orders are there at once.
    pub fn new(config: Config, now: Micros) -> Self {
        let mut session = Self { node: Node::new(config, now), records: Vec::new(), held: Vec::new() };
        session.drain();
        session
    }

    /// Tells the node a fact and collects what it orders.
    pub fn handle(&mut self, now: Micros, input: Input<'_>) -> &[Record] {
        self.node.handle(now, input);
        self.drain();
        &self.records
    }

    /// The orders of the last call.
    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// The bytes of one of [`Self::records`].
    pub fn bytes(&self, record: &Record) -> &[u8] {
        match record.place {
            Place::Nowhere => &[],
            Place::Held { start, end } => &self.held[start..end],
            Place::Piece { seq, index } => self.node.piece_frame(seq, index).unwrap_or_default(),
        }
    }

    /// The node, to look at.
    pub fn node(&self) -> &Node {
        &self.node
    }

    fn drain(&mut self) {
        self.records.clear();
        self.held.clear();
        self.held.shrink_to(HELD_BYTES_KEPT);
        while let Some(output) = self.node.poll() {
            self.records.extend(record(output, &Lender(&self.node), &mut self.held));
        }
    }
}

struct Lender<'a>(&'a Node);

impl Source for Lender<'_> {
    fn init(&self) -> Option<(&str, &str, &[u8])> {
        self.0.init().map(|init| (init.mime.as_str(), init.title.as_str(), init.bytes.as_slice()))
    }

    fn ice(&self) -> String {
        self.0.ice().join("\n")
    }

    fn payload(&self, seq: Seq, out: &mut Vec<u8>) -> bool {
        self.0.playable(seq, out)
    }
}
