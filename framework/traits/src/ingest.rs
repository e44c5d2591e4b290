//! Live input: whatever cuts a stream into units for the source to number and sign.

use std::net::IpAddr;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

pub use peerstream_protocol::segment::{INIT_BYTES_MAX, Kind, PAYLOAD_BYTES_MAX as UNIT_BYTES_MAX, TITLE_BYTES_MAX};

pub use crate::stage::{Billing, OffAir, OnAir, Programme, Publication, Stage, stage, stage_at};
use crate::{Lifecycle, Secret};

/// Units that wait for the source; an ingest that is faster waits (a pipe stops being read).
pub const UNIT_QUEUE_MAX: usize = 64;

/// One segment's worth of input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unit {
    /// The bytes a player or an output gets, at most [`UNIT_BYTES_MAX`].
    pub payload: Bytes,
    /// Presentation time on the broadcast's clock, in microseconds, which is the timeline of the payload.
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
    /// What is being played, such as the title of a track; empty for nothing in particular. At most [`TITLE_BYTES_MAX`].
    Title(String),
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
    /// Another publication is on air.
    #[error("{0}")]
    OffAir(OffAir),
    /// The source has gone.
    #[error("source is gone")]
    Closed,
}

/// What a streamer types into a program to reach an input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instruction {
    /// For which program, such as `OBS`.
    pub program: String,
    /// What to type, such as `server rtmp://HOST:1935/live, stream key KEY`. `HOST` stands for this machine's name, `PAGE` for the
    /// address of its web server, such as `http://HOST:8080`. It may hold
    /// the streamer's own secrets: it is shown on the terminal and to the streamer only.
    pub text: String,
}

/// Answers the programs of streamers on the host's own web server, for inputs that are spoken to over HTTP.
#[async_trait]
pub trait Web: Send + Sync {
    /// Answers a request to `/ingest/NAME` or below; its path begins after the name, with `/` or empty. `from` is who asks.
    /// Bodies are at most [`WEB_BODY_BYTES_MAX`].
    async fn answer(&self, from: IpAddr, request: http::Request<Bytes>) -> http::Response<Bytes>;
}

/// The largest body of a request to an ingest, in bytes.
pub const WEB_BODY_BYTES_MAX: usize = 64 * 1024;

/// What answers for an ingest, as the host holds it.
pub type SharedWeb = Arc<dyn Web>;

/// A live input.
#[async_trait]
pub trait Ingest: Lifecycle {
    /// Whether the units are media or plain bytes.
    fn kind(&self) -> Kind;
    /// What streamers are told; asked once, after the start. `key` is that of [`Stage::key`].
    fn instructions(&self, _key: &Secret) -> Vec<Instruction> {
        Vec::new()
    }
    /// What answers for it on the host's web server; asked once, after the start.
    fn web(&self) -> Option<SharedWeb> {
        None
    }
    /// Takes publications and sends what they bring until there can be no more; `Ok` means that the input ended by itself.
    /// Cancelled by dropping the future.
    async fn run(self: Box<Self>, stage: Stage) -> Result<(), IngestError>;
}

/// An ingest as the runtime holds it.
pub type BoxedIngest = Box<dyn Ingest>;
