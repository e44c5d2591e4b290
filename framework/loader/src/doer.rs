//! Telemetry sinks, archives, compliance handlers and admission policies from a library.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use peerstream_abi::message::{Put, Traits};
use peerstream_abi::{INDEX_LINES_MAX, Status, op};
use peerstream_protocol::header::Header;
use peerstream_traits::admission::{AdmissionPolicy, JoinRequest, Verdict};
use peerstream_traits::archive::{
    ArchiveBackend, Capabilities, InitId, Item, LINE_BYTES, Line, Manifest, Published, Receipt, Recording, RecordingId,
    Restriction, Segment, Seq, StreamMeta,
};
use peerstream_traits::compliance::{Case, ComplianceHandler, Decision, Regime};
use peerstream_traits::telemetry::{Batch, Interest, TelemetrySink, WriteReport};
use peerstream_traits::{ErrorClass, Health, Lifecycle, PluginError, Reload};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::instance::{Instance, failure, from_json, to_json};
use crate::pending::Completion;

/// A doer of any kind.
#[derive(Debug)]
pub(crate) struct Doer {
    /// None once it has been ended.
    instance: Option<Arc<Instance>>,
    traits: Traits,
}

impl Doer {
    pub(crate) fn new(instance: Instance) -> Result<Self, PluginError> {
        let traits = instance.call(op::TRAITS, &Value::Null)?;
        Ok(Self { instance: Some(Arc::new(instance)), traits })
    }

    fn told<T: DeserializeOwned + Default>(what: Option<&Value>) -> T {
        what.and_then(|value| serde_json::from_value(value.clone()).ok()).unwrap_or_default()
    }

    async fn ask<T: DeserializeOwned>(&self, op: u32, message: &impl Serialize) -> Result<T, PluginError> {
        let Completion { json, .. } = self.request(op, to_json(message)?, Bytes::new()).await?;
        from_json(&json)
    }

    /// Sends a request and waits for its answer. Given up when the future is dropped.
    async fn request(&self, op: u32, message: Vec<u8>, payload: Bytes) -> Result<Completion, PluginError> {
        let instance = self.instance.clone().expect("there until it is dropped");
        let (request, answer) = instance.pending.begin();
        let waiting = Waiting { instance: instance.clone(), request };
        // A library may take its time before it returns.
        let submitted = tokio::task::spawn_blocking(move || instance.submit(request, op, &message, &payload)).await;
        let submitted = submitted.map_err(|_| PluginError::new(ErrorClass::Internal, "the host is shutting down"))?;
        if let Some(json) = submitted? {
            return Ok(Completion { status: Status::OK, json, payload: Bytes::new() });
        }
        let completion = answer.await.map_err(|_| PluginError::new(ErrorClass::Internal, "it will never answer"))?;
        drop(waiting);
        match completion.status {
            Status::OK => Ok(completion),
            status => Err(failure(status, &completion.json)),
        }
    }
}

/// To end an instance may take a while, and must not hold up a thread of the runtime.
impl Drop for Doer {
    fn drop(&mut self) {
        let instance = self.instance.take();
        // Without a thread it is not ended, which costs its memory.
        let _ = std::thread::Builder::new().spawn(move || drop(instance));
    }
}

/// A request whose answer is waited for.
struct Waiting {
    instance: Arc<Instance>,
    request: u64,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if self.instance.pending.end(self.request) {
            self.instance.cancel(self.request);
        }
    }
}

#[async_trait]
impl Lifecycle for Doer {
    async fn probe(&self) -> Result<(), PluginError> {
        self.ask(op::PROBE, &Value::Null).await
    }

    async fn start(&self) -> Result<(), PluginError> {
        self.ask(op::START, &Value::Null).await
    }

    fn health(&self) -> Health {
        let instance = self.instance.as_ref().expect("there until it is dropped");
        let told = match instance.call(op::HEALTH, &Value::Null) {
            Ok(health) => health,
            // Health is not everybody's to tell.
            Err(error) if error.class == ErrorClass::Unsupported => Health::Ok,
            Err(error) => Health::Failed { why: error.message },
        };
        match instance.pending.stray() {
            stray if told == Health::Ok && stray > 0 => {
                Health::Degraded { why: format!("it answered {stray} requests twice or too late") }
            }
            _ => told,
        }
    }

    async fn reload(&self, config: &Value) -> Result<Reload, PluginError> {
        self.ask(op::RELOAD, config).await
    }

    async fn stop(&self, deadline: Duration) -> Result<(), PluginError> {
        self.ask(op::STOP, &u64::try_from(deadline.as_millis()).unwrap_or(u64::MAX)).await
    }
}

#[async_trait]
impl TelemetrySink for Doer {
    fn interest(&self) -> Interest {
        Self::told(self.traits.interest.as_ref())
    }

    async fn write(&self, batch: Batch) -> Result<WriteReport, PluginError> {
        let records: &[_] = &batch;
        self.ask(op::WRITE, &records).await
    }

    async fn flush(&self) -> Result<(), PluginError> {
        self.ask(op::FLUSH, &Value::Null).await
    }
}

#[async_trait]
impl ArchiveBackend for Doer {
    fn capabilities(&self) -> Capabilities {
        Self::told(self.traits.capabilities.as_ref())
    }

    async fn open(&self, meta: &StreamMeta) -> Result<RecordingId, PluginError> {
        self.ask(op::ARCHIVE_OPEN, meta).await
    }

    async fn put(&self, recording: &RecordingId, item: &Item) -> Result<Receipt, PluginError> {
        let recording = recording.0.clone();
        let (put, payload) = match item {
            Item::Init { id, encoded } => (Put { recording, init: Some(hex(*id)), header_len: 0 }, encoded.clone()),
            Item::Segment(Segment { encoded, payload, .. }) => {
                (Put { recording, init: None, header_len: encoded.len() }, [&encoded[..], payload].concat().into())
            }
        };
        let Completion { json, .. } = self.request(op::ARCHIVE_PUT, to_json(&put)?, payload).await?;
        from_json(&json)
    }

    async fn finalize(&self, recording: &RecordingId, manifest: &Manifest) -> Result<Published, PluginError> {
        let published: Option<Published> = self.ask(op::ARCHIVE_FINALIZE, &(recording, manifest)).await?;
        Ok(published.unwrap_or_default())
    }

    async fn read(&self, recording: &RecordingId, seq: Seq) -> Result<Segment, PluginError> {
        let message = to_json(&(recording, seq))?;
        let Completion { json, payload, .. } = self.request(op::ARCHIVE_READ, message, Bytes::new()).await?;
        let header_len: usize = from_json(&json)?;
        if header_len > payload.len() {
            return Err(malformed("less than a header"));
        }
        let (encoded, payload) = (payload.slice(..header_len), payload.slice(header_len..));
        let header = Header::decode(&encoded).map_err(|_| malformed("a header that cannot be read"))?;
        Ok(Segment { header: Arc::new(header), encoded, payload })
    }

    async fn list(&self) -> Result<Vec<Recording>, PluginError> {
        self.ask(op::ARCHIVE_LIST, &Value::Null).await
    }

    async fn index(&self, recording: &RecordingId, mut from: Seq, max: usize) -> Result<Vec<Line>, PluginError> {
        let mut all = Vec::new();
        while all.len() < max {
            let most = (max - all.len()).min(INDEX_LINES_MAX);
            let message = to_json(&(recording, from, most))?;
            let Completion { payload, .. } = self.request(op::ARCHIVE_INDEX, message, Bytes::new()).await?;
            let lines = lines(&payload, from, most)?;
            let Some(last) = lines.last() else { break };
            from = last.seq.next();
            let is_end = lines.len() < most;
            all.extend(lines);
            if is_end {
                break;
            }
        }
        Ok(all)
    }

    async fn header(&self, recording: &RecordingId, seq: Seq) -> Result<Bytes, PluginError> {
        let message = to_json(&(recording, seq))?;
        let Completion { payload, .. } = self.request(op::ARCHIVE_HEADER, message, Bytes::new()).await?;
        Ok(payload)
    }

    async fn init(&self, recording: &RecordingId, id: InitId) -> Result<Bytes, PluginError> {
        let message = to_json(&(recording, hex(id)))?;
        let Completion { payload, .. } = self.request(op::ARCHIVE_INIT, message, Bytes::new()).await?;
        Ok(payload)
    }

    async fn restrict(&self, recording: &RecordingId, restriction: &Restriction) -> Result<(), PluginError> {
        self.ask(op::ARCHIVE_RESTRICT, &(recording, restriction)).await
    }
}

/// Reads the lines of an index, which must be in order, or nobody would ever come to its end.
fn lines(bytes: &[u8], mut from: Seq, most: usize) -> Result<Vec<Line>, PluginError> {
    let (records, rest) = bytes.as_chunks::<LINE_BYTES>();
    if !rest.is_empty() || records.len() > most {
        return Err(malformed("an index of another length"));
    }
    let lines: Vec<_> = records.iter().map(Line::decode).collect();
    for line in &lines {
        if line.seq < from {
            return Err(malformed("an index that is not in order"));
        }
        from = line.seq.next();
    }
    Ok(lines)
}

fn malformed(what: &str) -> PluginError {
    PluginError::new(ErrorClass::Internal, format!("it gave {what}"))
}

fn hex(id: InitId) -> String {
    id.0.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[async_trait]
impl ComplianceHandler for Doer {
    fn regimes(&self) -> Vec<Regime> {
        Self::told(self.traits.regimes.as_ref())
    }

    async fn assess(&self, case: &Case) -> Result<Decision, PluginError> {
        self.ask(op::ASSESS, case).await
    }
}

#[async_trait]
impl AdmissionPolicy for Doer {
    fn is_open(&self) -> bool {
        self.traits.open
    }

    async fn admit(&self, request: &JoinRequest) -> Result<Verdict, PluginError> {
        self.ask(op::ADMIT, request).await
    }
}
