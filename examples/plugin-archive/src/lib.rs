//! An archive that keeps a broadcast in memory: where yours begins.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use peerstream_sdk::prelude::*;
use peerstream_sdk::traits::archive::{
    ArchiveBackend, Capabilities, InitId, Item, Manifest, Published, Receipt, RecordingId, Segment, StreamMeta,
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
    inits: BTreeSet<InitId>,
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
        Capabilities { read: true, ..Capabilities::default() }
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
            // Whoever reads the recording needs the init's bytes too; they are left to you.
            Item::Init { id, .. } if kept.inits.insert(*id) => return Ok(Receipt::Kept),
            Item::Init { .. } => return Ok(Receipt::AlreadyKept),
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
}

peerstream_sdk::export_plugin! { archive: Mine }
