//! A host for tests whose archive is in memory and can be read back.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use peerstream::plugins::options;
use peerstream::protocol::id::Seq;
use peerstream::protocol::segment::InitId;
use peerstream::traits::archive::{
    ArchiveBackend, Capabilities, Item, Line, Manifest, Published, Receipt, Recording, RecordingId, RestrictMode,
    Restriction, Segment, StreamMeta,
};
use peerstream::traits::{ErrorClass, Lifecycle, PluginError};

use crate::world::{Host, instance};

/// One recording after the other; the last one is given out.
#[derive(Default)]
pub struct Memory {
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    meta: Option<StreamMeta>,
    inits: Vec<(InitId, Bytes)>,
    segments: Vec<Segment>,
    hidden: Vec<(Seq, Seq)>,
    ended: bool,
}

impl Kept {
    fn hides(&self, seq: Seq) -> bool {
        self.hidden.iter().any(|(first, end)| (*first..*end).contains(&seq))
    }
}

impl Lifecycle for Memory {}

#[async_trait]
impl ArchiveBackend for Memory {
    fn capabilities(&self) -> Capabilities {
        Capabilities { read: true, list: true, index: true, restrict: true }
    }

    async fn open(&self, meta: &StreamMeta) -> Result<RecordingId, PluginError> {
        *self.kept.lock().unwrap() = Kept { meta: Some(meta.clone()), ..Kept::default() };
        Ok(RecordingId(format!("r{}", meta.epoch.0)))
    }

    async fn put(&self, _: &RecordingId, item: &Item) -> Result<Receipt, PluginError> {
        let mut kept = self.kept.lock().unwrap();
        match item {
            Item::Init { id, encoded } => kept.inits.push((*id, encoded.clone())),
            Item::Segment(segment) => kept.segments.push(segment.clone()),
        }
        Ok(Receipt::Kept)
    }

    async fn finalize(&self, _: &RecordingId, manifest: &Manifest) -> Result<Published, PluginError> {
        self.kept.lock().unwrap().ended = manifest.ended;
        Ok(Published::default())
    }

    async fn read(&self, _: &RecordingId, seq: Seq) -> Result<Segment, PluginError> {
        let kept = self.kept.lock().unwrap();
        if kept.hides(seq) {
            return Err(PluginError::new(ErrorClass::Denied, "hidden"));
        }
        let found = kept.segments.iter().find(|segment| segment.header.core.seq == seq).cloned();
        found.ok_or_else(|| PluginError::new(ErrorClass::NotFound, "never kept"))
    }

    async fn list(&self) -> Result<Vec<Recording>, PluginError> {
        let kept = self.kept.lock().unwrap();
        let Some(meta) = kept.meta.clone() else { return Ok(Vec::new()) };
        let end = kept.segments.last().map_or(Seq(0), |segment| segment.header.core.seq.next());
        let manifest = Manifest { first: Seq(0), end, gaps: Vec::new(), ended: kept.ended, resumed: vec![] };
        Ok(vec![Recording { id: RecordingId(format!("r{}", meta.epoch.0)), meta, manifest }])
    }

    async fn index(&self, _: &RecordingId, from: Seq, max: usize) -> Result<Vec<Line>, PluginError> {
        let kept = self.kept.lock().unwrap();
        let lines = kept.segments.iter().map(|segment| Line::of(&segment.header, kept.hides(segment.header.core.seq)));
        Ok(lines.filter(|line| line.seq >= from).take(max).collect())
    }

    async fn init(&self, _: &RecordingId, id: InitId) -> Result<Bytes, PluginError> {
        let kept = self.kept.lock().unwrap();
        let found = kept.inits.iter().find(|(known, _)| *known == id).map(|(_, encoded)| encoded.clone());
        found.ok_or_else(|| PluginError::new(ErrorClass::NotFound, "never kept"))
    }

    async fn restrict(&self, _: &RecordingId, restriction: &Restriction) -> Result<(), PluginError> {
        if restriction.mode != RestrictMode::Show {
            self.kept.lock().unwrap().hidden.push((restriction.first, restriction.end));
        }
        Ok(())
    }
}

/// A host that has archived so many segments.
pub async fn host(segments: usize) -> (Host, Arc<Memory>) {
    let memory = Arc::new(Memory::default());
    let archive: peerstream::traits::archive::SharedArchive = memory.clone();
    let host =
        Host::start(|plugins| plugins.archives.push(instance("memory", archive, options::Archive::default()))).await;
    for _ in 0..600 {
        if memory.kept.lock().unwrap().segments.len() >= segments {
            return (host, memory);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{segments} segments were not archived");
}
