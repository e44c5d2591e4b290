//! Doers: a request is a future that ends in JSON and bytes.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use peerstream_abi::message::{Put, Traits};
use peerstream_abi::{INDEX_LINES_MAX, Out, op};
use peerstream_protocol::header::Header;
use peerstream_protocol::segment::InitId;
use peerstream_traits::admission::SharedPolicy;
use peerstream_traits::archive::{Item, Line, RecordingId, Segment, SharedArchive};
use peerstream_traits::compliance::SharedHandler;
use peerstream_traits::telemetry::{Batch, Record, SharedSink};
use peerstream_traits::{ErrorClass, Lifecycle, PluginError};
use serde::Serialize;
use serde_json::Value;

use super::{Answer, read_json, write_json};

/// What a request ends in.
pub(super) struct Done {
    pub(super) json: Vec<u8>,
    pub(super) payload: Vec<Bytes>,
}

/// A request under way.
pub(super) type Work = Pin<Box<dyn Future<Output = Result<Done, PluginError>> + Send>>;

pub(super) enum Doer {
    Telemetry(SharedSink),
    Archive(SharedArchive),
    Compliance(SharedHandler),
    Admission(SharedPolicy),
}

impl Doer {
    pub(super) fn call(&self, op: u32, out: Out) -> Answer {
        match op {
            op::HEALTH => write_json(out, &self.life().health()),
            op::TRAITS => write_json(out, &self.traits()),
            _ => Err(PluginError::unsupported("this call")),
        }
    }

    fn traits(&self) -> Traits {
        let value = |it: serde_json::Result<Value>| it.ok();
        let blank = Traits::default();
        match self {
            Self::Telemetry(it) => Traits { interest: value(serde_json::to_value(it.interest())), ..blank },
            Self::Archive(it) => Traits { capabilities: value(serde_json::to_value(it.capabilities())), ..blank },
            Self::Compliance(it) => Traits { regimes: value(serde_json::to_value(it.regimes())), ..blank },
            Self::Admission(it) => Traits { open: it.is_open(), ..blank },
        }
    }

    fn life(&self) -> Arc<dyn Lifecycle> {
        match self {
            Self::Telemetry(it) => it.clone(),
            Self::Archive(it) => it.clone(),
            Self::Compliance(it) => it.clone(),
            Self::Admission(it) => it.clone(),
        }
    }

    pub(super) fn submit(&self, op: u32, json: &[u8], payload: &[u8]) -> Result<Work, PluginError> {
        if (op::PROBE..=op::STOP).contains(&op) {
            return self.live(op, json);
        }
        match self {
            Self::Telemetry(sink) => telemetry(sink.clone(), op, json),
            Self::Archive(archive) => self::archive(archive.clone(), op, json, payload),
            Self::Compliance(handler) if op == op::ASSESS => {
                let (handler, case) = (handler.clone(), read_json(json)?);
                work(async move { handler.assess(&case).await })
            }
            Self::Admission(policy) if op == op::ADMIT => {
                let (policy, request) = (policy.clone(), read_json(json)?);
                work(async move { policy.admit(&request).await })
            }
            Self::Compliance(_) | Self::Admission(_) => Err(PluginError::unsupported("this request")),
        }
    }

    fn live(&self, op: u32, json: &[u8]) -> Result<Work, PluginError> {
        let it = self.life();
        match op {
            op::PROBE => work(async move { it.probe().await }),
            op::START => work(async move { it.start().await }),
            op::RELOAD => {
                let options: Value = read_json(json)?;
                work(async move { it.reload(&options).await })
            }
            _ => {
                let deadline = Duration::from_millis(read_json(json)?);
                work(async move { it.stop(deadline).await })
            }
        }
    }
}

fn telemetry(sink: SharedSink, op: u32, json: &[u8]) -> Result<Work, PluginError> {
    match op {
        op::WRITE => {
            let records: Vec<Record> = read_json(json)?;
            let batch: Batch = records.into();
            work(async move { sink.write(batch).await })
        }
        op::FLUSH => work(async move { sink.flush().await }),
        _ => Err(PluginError::unsupported("this request")),
    }
}

fn archive(archive: SharedArchive, op: u32, json: &[u8], payload: &[u8]) -> Result<Work, PluginError> {
    match op {
        op::ARCHIVE_OPEN => {
            let meta = read_json(json)?;
            work(async move { archive.open(&meta).await })
        }
        op::ARCHIVE_PUT => {
            let put: Put = read_json(json)?;
            let item = item(&put, payload)?;
            work(async move { archive.put(&RecordingId(put.recording), &item).await })
        }
        op::ARCHIVE_FINALIZE => {
            let (recording, manifest) = read_json(json)?;
            work(async move { archive.finalize(&recording, &manifest).await })
        }
        op::ARCHIVE_READ => {
            let (recording, seq): (RecordingId, _) = read_json(json)?;
            Ok(Box::pin(async move {
                let Segment { encoded, payload, .. } = archive.read(&recording, seq).await?;
                Ok(Done { json: to_json(&encoded.len())?, payload: vec![encoded, payload] })
            }))
        }
        op::ARCHIVE_LIST => work(async move { archive.list().await }),
        op::ARCHIVE_INDEX => {
            let (recording, from, max): (RecordingId, _, usize) = read_json(json)?;
            bytes(async move {
                let lines = archive.index(&recording, from, max.min(INDEX_LINES_MAX)).await?;
                Ok(lines.iter().flat_map(Line::encode).collect::<Vec<u8>>().into())
            })
        }
        op::ARCHIVE_HEADER => {
            let (recording, seq): (RecordingId, _) = read_json(json)?;
            bytes(async move { archive.header(&recording, seq).await })
        }
        op::ARCHIVE_INIT => {
            let (recording, id): (RecordingId, String) = read_json(json)?;
            let id = init_id(&id)?;
            bytes(async move { archive.init(&recording, id).await })
        }
        op::ARCHIVE_RESTRICT => {
            let (recording, restriction) = read_json(json)?;
            work(async move { archive.restrict(&recording, &restriction).await })
        }
        _ => Err(PluginError::unsupported("this request")),
    }
}

/// Reads what came beside a [`Put`]. The host has verified it.
fn item(put: &Put, bytes: &[u8]) -> Result<Item, PluginError> {
    if let Some(id) = &put.init {
        return Ok(Item::Init { id: init_id(id)?, encoded: Bytes::copy_from_slice(bytes) });
    }
    let (head, payload) =
        bytes.split_at_checked(put.header_len).ok_or_else(|| PluginError::invalid("a header longer than what came"))?;
    let header = Header::decode(head).map_err(|_| PluginError::invalid("a header that cannot be read"))?;
    Ok(Item::Segment(Segment {
        header: Arc::new(header),
        encoded: Bytes::copy_from_slice(head),
        payload: Bytes::copy_from_slice(payload),
    }))
}

fn init_id(id: &str) -> Result<InitId, PluginError> {
    let malformed = || PluginError::invalid(format!("init id `{id}`, expected 32 hexadecimal digits"));
    let id = u128::from_str_radix(id, 16).map_err(|_| malformed())?;
    Ok(InitId(id.to_be_bytes()))
}

/// A request that ends in bytes.
fn bytes(future: impl Future<Output = Result<Bytes, PluginError>> + Send + 'static) -> Result<Work, PluginError> {
    Ok(Box::pin(async move { Ok(Done { payload: vec![future.await?], json: to_json(&())? }) }))
}

fn work<T: Serialize>(
    future: impl Future<Output = Result<T, PluginError>> + Send + 'static,
) -> Result<Work, PluginError> {
    Ok(Box::pin(async move { Ok(Done { json: to_json(&future.await?)?, payload: Vec::new() }) }))
}

fn to_json(value: &impl Serialize) -> Result<Vec<u8>, PluginError> {
    serde_json::to_vec(value).map_err(|error| PluginError::new(ErrorClass::Internal, error.to_string()))
}
