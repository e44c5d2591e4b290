//! What a recording is made of.

use std::sync::Arc;

use bytes::Bytes;
use peerstream_protocol::header::Header;
use peerstream_protocol::segment::InitId;

/// Something to be kept, signed by its source and checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// A codec header that segments name by its id.
    Init {
        /// Its id: the first bytes of the hash of `encoded`.
        id: InitId,
        /// The init as it travels, see [`Init::encode`].
        encoded: Bytes,
    },
    /// A segment.
    Segment(Segment),
}

/// A segment with its proof.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// The signed header, read.
    pub header: Arc<Header>,
    /// The signed header, as it travels, see [`Header::encode`].
    pub encoded: Bytes,
    /// The payload, as the header's hashes say.
    pub payload: Bytes,
}
