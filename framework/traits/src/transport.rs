//! Links between two nodes.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::mpsc;

pub use peerstream_protocol::frame::Lane;

use crate::Lifecycle;

/// Frames larger than this are refused by every transport, in bytes.
pub const FRAME_BYTES_MAX: usize = 64 * 1024;
/// A transport accepts no more than this per link before it reports no credit, in bytes.
pub const CREDIT_BYTES: usize = 256 * 1024;
/// Events of one link that wait for the runtime; a full queue stops reading from the network.
pub const EVENT_QUEUE_MAX: usize = 256;

/// Which side of the set-up a node takes; the node with the larger id offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Sends the first description.
    Offer,
    /// Answers the description of the other side.
    Answer,
}

/// Servers that help two nodes find a path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IceServers {
    /// STUN urls such as `stun:203.0.113.7:3478`.
    pub urls: Vec<String>,
}

/// What a link tells its owner. `Signal` may come before `Up`; after `Down` or `Failed` nothing follows.
#[derive(Debug)]
pub enum LinkEvent {
    /// A set-up message for the other side; carried by the coordinator, at most `signal::SIGNAL_BYTES_MAX` bytes.
    Signal(Bytes),
    /// Both lanes are open; `credit` bytes may be sent.
    Up {
        /// Bytes the transport takes at once.
        credit: usize,
    },
    /// A frame arrived whole.
    Frame(Lane, Bytes),
    /// `credit` bytes may be sent from now on (an absolute number, not an increment).
    Writable {
        /// Bytes the transport takes now.
        credit: usize,
    },
    /// An open link ended.
    Down {
        /// For the log.
        reason: String,
    },
    /// The link never opened.
    Failed {
        /// For the log.
        reason: String,
    },
}

/// Why a frame was not taken. The frame is lost; the caller's node counts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The link is not open or has ended.
    #[error("link is not open")]
    Closed,
    /// The caller sent beyond its credit.
    #[error("frame exceeds the link's credit")]
    Full,
    /// The frame is larger than [`FRAME_BYTES_MAX`].
    #[error("frame exceeds the transport's limit")]
    TooLarge,
}

/// One link being set up, open, or ended. Dropping it closes it.
pub trait Link: Send {
    /// Takes a set-up message of the other side. Malformed ones are counted and dropped.
    fn signal(&self, payload: Bytes);
    /// Queues a frame without waiting.
    fn try_send(&self, lane: Lane, frame: Bytes) -> Result<(), SendError>;
    /// Ends the link; the other side learns of it at once where the transport can say so.
    fn close(&self);
}

/// Opens links. One instance per process; cheap to share.
pub trait Transport: Lifecycle {
    /// Starts a link and returns at once. All that happens to it comes through `events`.
    fn open(&self, side: Side, servers: &IceServers, events: mpsc::Sender<LinkEvent>) -> Box<dyn Link>;
}

/// A shared transport.
pub type SharedTransport = Arc<dyn Transport>;
