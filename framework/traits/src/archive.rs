//! Archives: where a broadcast is kept.

use std::sync::Arc;

use async_trait::async_trait;
pub use bytes::Bytes;
use serde::{Deserialize, Serialize};

pub use peerstream_protocol::crypto::Hash;
pub use peerstream_protocol::header::Header;
pub use peerstream_protocol::id::{Epoch, Seq};
pub use peerstream_protocol::segment::{Init, InitId, Kind as StreamKind};
pub use peerstream_recording::{Item, LINE_BYTES, LINES_MAX, Line, Manifest, Segment, StreamMeta};

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
    /// [`ArchiveBackend::index`], [`ArchiveBackend::header`] and [`ArchiveBackend::init`]
    pub index: bool,
    /// [`ArchiveBackend::restrict`]
    pub restrict: bool,
}

/// Names a recording within one archive: letters, digits, dashes and dots, at most 128.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RecordingId(pub String);

/// What became of an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Receipt {
    /// It is kept from now on, also when the power fails.
    Kept,
    /// The same one was kept already.
    AlreadyKept,
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

    /// What it holds, in the order of numbers: at most `max` lines, from the number `from` on. Segments that are withheld have their
    /// lines. Cheap: a day of a broadcast takes less than 100 ms. `max` is at most [`LINES_MAX`].
    async fn index(&self, _recording: &RecordingId, _from: Seq, _max: usize) -> Result<Vec<Line>, PluginError> {
        Err(PluginError::unsupported("an index"))
    }

    /// The signed header of a segment as it travels, see [`Header::encode`], also of one that is withheld: with it the rest of the
    /// recording can be verified. [`NotFound`](crate::ErrorClass::NotFound) when it was never kept.
    async fn header(&self, _recording: &RecordingId, _seq: Seq) -> Result<Bytes, PluginError> {
        Err(PluginError::unsupported("an index"))
    }

    /// An init that segments of a recording name, as it travels, see [`Init::encode`];
    /// [`NotFound`](crate::ErrorClass::NotFound) when it was never kept.
    async fn init(&self, _recording: &RecordingId, _id: InitId) -> Result<Bytes, PluginError> {
        Err(PluginError::unsupported("an index"))
    }

    /// Withholds a part of a recording, or gives it out again.
    async fn restrict(&self, _recording: &RecordingId, _restriction: &Restriction) -> Result<(), PluginError> {
        Err(PluginError::unsupported("restricting"))
    }
}

/// An archive as the runtime holds it.
pub type SharedArchive = Arc<dyn ArchiveBackend>;
