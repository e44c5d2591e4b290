//! Live input: whatever cuts a stream into units for the source to number and sign.

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::mpsc;

pub use peerstream_protocol::segment::{INIT_BYTES_MAX, Kind, PAYLOAD_BYTES_MAX as UNIT_BYTES_MAX};

use crate::Lifecycle;

/// Units that wait for the source; an ingest that is faster waits (a pipe stops being read).
pub const UNIT_QUEUE_MAX: usize = 64;

/// One segment's worth of input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unit {
    /// The bytes a player or an output gets, at most [`UNIT_BYTES_MAX`].
    pub payload: Bytes,
    /// Presentation time since the start of the input, in microseconds, on the timeline of the payload.
    pub pts_us: u64,
    /// In microseconds; 0 for data.
    pub duration_us: u32,
    /// A viewer can start here.
    pub join_point: bool,
    /// The timeline or the codec breaks before this unit.
    pub discontinuity: bool,
}

/// What an ingest says to the source, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IngestEvent {
    /// The codec header that the following units need, at most [`INIT_BYTES_MAX`].
    Init {
        /// The bytes a player appends first.
        bytes: Bytes,
        /// Such as `video/mp4; codecs="avc1.64001f,mp4a.40.2"`; at most 255 bytes.
        mime: String,
    },
    /// A unit.
    Unit(Unit),
    /// Something the streamer should know, with its cost, such as "key frame every 8 s: joining takes up to 8 s".
    Advice(String),
}

/// Why an ingest ended without the input having ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IngestError {
    /// The input is not what the ingest expects; the text says what was found and what was expected.
    #[error("{0}")]
    Malformed(String),
    /// Reading failed.
    #[error("input cannot be read: {0}")]
    Read(#[from] std::io::Error),
    /// The source has gone.
    #[error("source is gone")]
    Closed,
}

/// A live input.
#[async_trait]
pub trait Ingest: Lifecycle {
    /// Whether the units are media or plain bytes.
    fn kind(&self) -> Kind;
    /// Reads until the input ends; `Ok` means it ended by itself. Cancelled by dropping the future.
    async fn run(self: Box<Self>, events: mpsc::Sender<IngestEvent>) -> Result<(), IngestError>;
}

/// An ingest as the runtime holds it.
pub type BoxedIngest = Box<dyn Ingest>;
