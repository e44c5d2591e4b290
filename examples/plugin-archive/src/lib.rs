//! An archive that keeps a broadcast in memory: where yours begins.

use std::collections::BTreeMap;
use std::sync::Mutex;

use peerstream_sdk::prelude::*;
use peerstream_sdk::traits::archive::{
    ArchiveBackend, Bytes, Capabilities, InitId, Item, Line, Manifest, Published, Receipt, RecordingId, Segment,
    StreamMeta,
};

/// The options.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Segments kept of each recording; the oldest make room.
    pub segments_max: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self { segments_max: 10_000 }
    }
}

impl PluginConfig for Config {}

/// The archive.
pub struct Mine {
    config: Config,
    recordings: Mutex<BTreeMap<RecordingId, Kept>>,
}

/// What is kept of a recording.
#[derive(Default)]
struct Kept {
    inits: BTreeMap<InitId, Bytes>,
    segments: BTreeMap<Seq, Segment>,
}

impl Plugin for Mine {
    const NAME: &'static str = "memory";
    const SUMMARY: &'static str = "keeps the latest segments in memory";
    type Config = Config;

    fn build(config: Config, _: &BuildContext<'_>) -> Result<Self, PluginError> {
        Ok(Self { config, recordings: Mutex::default() })
    }
}

impl Lifecycle for Mine {}

#[async_trait]
impl ArchiveBackend for Mine {
    fn capabilities(&self) -> Capabilities {
        Capabilities { read: true, index: true, ..Capabilities::default() }
    }

    async fn open(&self, meta: &StreamMeta) -> Result<RecordingId, PluginError> {
        let id = RecordingId(format!("{}-{}", &meta.stream[..8], meta.epoch.0));
        self.recordings.lock().expect("no holder panics").entry(id.clone()).or_default();
        Ok(id)
    }

    async fn put(&self, recording: &RecordingId, item: &Item) -> Result<Receipt, PluginError> {
        let mut recordings = self.recordings.lock().expect("no holder panics");
        let kept = recordings.get_mut(recording).ok_or_else(|| PluginError::invalid("no such recording"))?;
        let segment = match item {
            Item::Init { id, encoded } => {
                let known = kept.inits.insert(*id, encoded.clone());
                return Ok(if known.is_some() { Receipt::AlreadyKept } else { Receipt::Kept });
            }
            Item::Segment(segment) => segment,
        };
        match kept.segments.get(&segment.header.core.seq) {
            Some(there) if there.encoded == segment.encoded => return Ok(Receipt::AlreadyKept),
            Some(_) => return Err(PluginError::new(ErrorClass::Conflict, "another segment has this number")),
            None => {}
        }
        kept.segments.insert(segment.header.core.seq, segment.clone());
        while kept.segments.len() > self.config.segments_max {
            kept.segments.pop_first();
        }
        Ok(Receipt::Kept)
    }

    async fn finalize(&self, _: &RecordingId, _: &Manifest) -> Result<Published, PluginError> {
        Ok(Published::default())
    }

    async fn read(&self, recording: &RecordingId, seq: Seq) -> Result<Segment, PluginError> {
        let recordings = self.recordings.lock().expect("no holder panics");
        let found = recordings.get(recording).and_then(|kept| kept.segments.get(&seq)).cloned();
        found.ok_or_else(|| PluginError::new(ErrorClass::NotFound, "no such segment"))
    }

    async fn index(&self, recording: &RecordingId, from: Seq, max: usize) -> Result<Vec<Line>, PluginError> {
        let recordings = self.recordings.lock().expect("no holder panics");
        let kept =
            recordings.get(recording).ok_or_else(|| PluginError::new(ErrorClass::NotFound, "no such recording"))?;
        Ok(kept.segments.range(from..).take(max).map(|(_, segment)| Line::of(&segment.header, false)).collect())
    }

    async fn header(&self, recording: &RecordingId, seq: Seq) -> Result<Bytes, PluginError> {
        Ok(self.read(recording, seq).await?.encoded)
    }

    async fn init(&self, recording: &RecordingId, id: InitId) -> Result<Bytes, PluginError> {
        let recordings = self.recordings.lock().expect("no holder panics");
        let found = recordings.get(recording).and_then(|kept| kept.inits.get(&id)).cloned();
        found.ok_or_else(|| PluginError::new(ErrorClass::NotFound, "no such init"))
    }
}

peerstream_sdk::export_plugin! { archive: Mine }
