//! Archives: where a broadcast is kept.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

pub use peerstream_protocol::crypto::Hash;
pub use peerstream_protocol::header::Header;
pub use peerstream_protocol::id::{Epoch, Seq};
pub use peerstream_protocol::segment::{Init, InitId, Kind as StreamKind};

use crate::{Lifecycle, PluginError};

/// What an archive can do beyond keeping a broadcast from its start to its end. What is not declared answers
/// [`ErrorClass::Unsupported`](crate::ErrorClass::Unsupported).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Capabilities {
    /// [`ArchiveBackend::read`]
    pub read: bool,
    /// [`ArchiveBackend::list`]
    pub list: bool,
    /// [`ArchiveBackend::restrict`]
    pub restrict: bool,
}

/// Which broadcast is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamMeta {
    /// The publisher's key, 64 hexadecimal digits.
    pub stream: String,
    /// The broadcast.
    pub epoch: Epoch,
    /// Media or data.
    pub kind: StreamKind,
    /// The publisher's certificate for the key of this broadcast, as it travels, in hexadecimal digits; with it a recording can
    /// be verified for years.
    pub cert: String,
    /// What people call it.
    #[serde(default)]
    pub title: Option<String>,
}

/// Names a recording within one archive: letters, digits, dashes and dots, at most 128.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RecordingId(pub String);

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

/// What became of an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Receipt {
    /// It is kept from now on, also when the power fails.
    Kept,
    /// The same one was kept already.
    AlreadyKept,
}

/// What a recording holds when it ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The first segment's number.
    pub first: Seq,
    /// The number after the last segment's.
    pub end: Seq,
    /// Ranges of numbers that are missing, `first` included and `end` not.
    pub gaps: Vec<(Seq, Seq)>,
    /// Whether the broadcast has ended; else the recording goes on another time.
    pub ended: bool,
}

/// Where a finished recording is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Published {
    /// For people, if it can be looked at somewhere.
    #[serde(default)]
    pub url: Option<String>,
}

/// A recording as it is listed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recording {
    /// Its name in this archive.
    pub id: RecordingId,
    /// What is recorded.
    pub meta: StreamMeta,
    /// What it holds at present.
    pub manifest: Manifest,
}

/// What is withheld, by segment numbers, `first` included and `end` not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restriction {
    /// The first number.
    pub first: Seq,
    /// The number after the last.
    pub end: Seq,
    /// How.
    pub mode: RestrictMode,
}

/// How a part of a recording is withheld.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RestrictMode {
    /// It is kept, but not given out.
    Hide,
    /// It is given out again.
    Show,
    /// Its payload is deleted; headers stay, so that the rest can still be verified.
    Erase,
}

/// Keeps broadcasts. The framework hands over verified items in order, one call at a time for each recording, and again after
/// a temporary failure.
#[async_trait]
pub trait ArchiveBackend: Lifecycle {
    /// What it can do.
    fn capabilities(&self) -> Capabilities;

    /// Begins a recording, or goes on with the one of the same stream and epoch.
    async fn open(&self, meta: &StreamMeta) -> Result<RecordingId, PluginError>;

    /// Keeps an item. The same item twice is one item; another payload under a number that is taken is a
    /// [`Conflict`](crate::ErrorClass::Conflict).
    async fn put(&self, recording: &RecordingId, item: &Item) -> Result<Receipt, PluginError>;

    /// The recording is over, or pauses. May be called twice.
    async fn finalize(&self, recording: &RecordingId, manifest: &Manifest) -> Result<Published, PluginError>;

    /// A segment of a recording; [`NotFound`](crate::ErrorClass::NotFound) when it was never kept,
    /// [`Denied`](crate::ErrorClass::Denied) when it is withheld.
    async fn read(&self, _recording: &RecordingId, _seq: Seq) -> Result<Segment, PluginError> {
        Err(PluginError::unsupported("reading"))
    }

    /// All recordings, the latest epoch first.
    async fn list(&self) -> Result<Vec<Recording>, PluginError> {
        Err(PluginError::unsupported("listing"))
    }

    /// Withholds a part of a recording, or gives it out again.
    async fn restrict(&self, _recording: &RecordingId, _restriction: &Restriction) -> Result<(), PluginError> {
        Err(PluginError::unsupported("restricting"))
    }
}

/// An archive as the runtime holds it.
pub type SharedArchive = Arc<dyn ArchiveBackend>;
