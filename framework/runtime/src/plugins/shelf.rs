//! Reads what the archives keep.

use std::sync::Arc;

use bytes::Bytes;
use peerstream_traits::archive::{InitId, Line, Recording, RecordingId, Restriction, Segment, Seq, StreamMeta};
use peerstream_traits::{ErrorClass, PluginError};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::archive::Layer;

/// Questions that one archive works on at a time.
pub const READS_AT_ONCE_MAX: usize = 64;
/// Questions that one archive works on or that wait for it; one more is refused and counted as `reads-refused`.
pub const READS_WAITING_MAX: usize = 1_024;

/// Reads what the archives keep; cheap to clone. The first archive that can list, index and read is asked, each question within the
/// time that the layer around the archive gives a call.
#[derive(Clone, Default)]
pub struct Shelf(Arc<[Arc<Layer>]>);

impl std::fmt::Debug for Shelf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Shelf({} archives)", self.0.len())
    }
}

impl Shelf {
    pub(crate) fn new(layers: Vec<Arc<Layer>>) -> Self {
        Self(layers.into())
    }

    /// Whether nothing can be read back: no archive lists, indexes and reads.
    pub fn is_empty(&self) -> bool {
        self.reader().is_err()
    }

    /// The recording under way or last made by this process.
    pub fn current(&self) -> Option<RecordingId> {
        self.reader().ok()?.recording()
    }

    /// All recordings, the latest epoch first.
    pub async fn recordings(&self) -> Result<Vec<Recording>, PluginError> {
        self.reader()?.ask(|archive| async move { archive.list().await }).await
    }

    /// One recording; [`NotFound`](ErrorClass::NotFound) when there is none of this name.
    pub async fn recording(&self, id: &RecordingId) -> Result<Recording, PluginError> {
        let found = self.recordings().await?.into_iter().find(|recording| recording.id == *id);
        found.ok_or_else(|| PluginError::new(ErrorClass::NotFound, "there is no such recording"))
    }

    /// What a recording holds, in the order of numbers: at most `max` lines from the number `from` on.
    pub async fn index(&self, recording: &RecordingId, from: Seq, max: usize) -> Result<Vec<Line>, PluginError> {
        let recording = recording.clone();
        self.reader()?.ask(move |archive| async move { archive.index(&recording, from, max).await }).await
    }

    /// A segment with its proof; [`NotFound`](ErrorClass::NotFound) when it was never kept, [`Denied`](ErrorClass::Denied) when it is
    /// withheld.
    pub async fn segment(&self, recording: &RecordingId, seq: Seq) -> Result<Segment, PluginError> {
        let recording = recording.clone();
        self.reader()?.ask(move |archive| async move { archive.read(&recording, seq).await }).await
    }

    /// The signed header of a segment as it travels, also of one that is withheld; [`NotFound`](ErrorClass::NotFound) when it was
    /// never kept.
    pub async fn header(&self, recording: &RecordingId, seq: Seq) -> Result<Bytes, PluginError> {
        let recording = recording.clone();
        self.reader()?.ask(move |archive| async move { archive.header(&recording, seq).await }).await
    }

    /// An init as it travels; [`NotFound`](ErrorClass::NotFound) when it was never kept.
    pub async fn init(&self, recording: &RecordingId, id: InitId) -> Result<Bytes, PluginError> {
        let recording = recording.clone();
        self.reader()?.ask(move |archive| async move { archive.init(&recording, id).await }).await
    }

    /// Withholds a part of a recording, or gives it out again, in every archive that keeps the same broadcast and can. Fails when one
    /// of them does not, after all were told; [`Unsupported`](ErrorClass::Unsupported) when none can.
    pub async fn restrict(&self, recording: &RecordingId, restriction: &Restriction) -> Result<(), PluginError> {
        let meta = self.recording(recording).await?.meta;
        let mut outcome = Err(PluginError::unsupported("withholding parts of a recording"));
        let mut failed = None;
        for layer in self.0.iter().filter(|layer| layer.capabilities().restrict) {
            match restrict_in(layer, &meta, restriction).await {
                Ok(()) => outcome = Ok(()),
                // It came later, or keeps something else.
                Err(error) if error.class == ErrorClass::NotFound => {}
                Err(error) => failed = Some(error),
            }
        }
        failed.map_or(outcome, Err)
    }

    fn reader(&self) -> Result<&Layer, PluginError> {
        let can = |layer: &&Arc<Layer>| {
            let able = layer.capabilities();
            able.list && able.index && able.read
        };
        let found = self.0.iter().find(can).map(AsRef::as_ref);
        found.ok_or_else(|| PluginError::unsupported("reading recordings back"))
    }
}

async fn restrict_in(layer: &Layer, meta: &StreamMeta, restriction: &Restriction) -> Result<(), PluginError> {
    let all = layer.ask(|archive| async move { archive.list().await }).await?;
    let same = all.iter().find(|it| (&it.meta.stream, it.meta.epoch) == (&meta.stream, meta.epoch));
    let same = same.ok_or_else(|| PluginError::new(ErrorClass::NotFound, "it does not keep this broadcast"))?;
    layer.restrict(&same.id, restriction).await
}

/// Where questions wait for an archive.
#[derive(Debug)]
pub(crate) struct ReadingDesk {
    waiting: Semaphore,
    seats: Semaphore,
}

impl Default for ReadingDesk {
    fn default() -> Self {
        Self { waiting: Semaphore::new(READS_WAITING_MAX), seats: Semaphore::new(READS_AT_ONCE_MAX) }
    }
}

/// A question that is being worked on.
pub(crate) struct Seat<'a> {
    _waiting: SemaphorePermit<'a>,
    _seat: SemaphorePermit<'a>,
}

impl ReadingDesk {
    /// Waits for a seat; nothing when too many wait already.
    pub(crate) async fn take_seat(&self) -> Option<Seat<'_>> {
        let waiting = self.waiting.try_acquire().ok()?;
        let seat = self.seats.acquire().await.ok()?;
        Some(Seat { _waiting: waiting, _seat: seat })
    }
}
