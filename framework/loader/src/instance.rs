//! An instance of a loaded plug-in: the only place that calls into a library.

use std::ffi::c_void;
use std::time::Duration;

use peerstream_abi::api::Sink;
use peerstream_abi::message::Failure;
use peerstream_abi::record::Event;
use peerstream_abi::{Batch, Bytes, Host, JSON_BYTES_MAX, Status};
use peerstream_protocol::id::NodeId;
use peerstream_protocol::time::Micros;
use peerstream_traits::{ErrorClass, PluginError};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::host;
use crate::library::{Table, one_line};
use crate::pending::Pending;

/// The status of a mistake of the plug-in.
pub(crate) const INTERNAL: Status = Status::failed(8);

/// An instance. Doers may be called from several threads at a time, deciders from one.
#[derive(Debug)]
pub(crate) struct Instance {
    table: Table,
    pointer: *mut c_void,
    pub(crate) pending: &'static Pending,
    /// Lent to the library until the end.
    _host: Box<Host>,
}

// SAFETY: the interface says that the functions of an instance may be called from any thread.
unsafe impl Send for Instance {}
// SAFETY: as above; who holds a decider calls it from one thread at a time.
unsafe impl Sync for Instance {}

/// A batch for a decider.
pub(crate) struct Call<'a> {
    pub(crate) op: u32,
    pub(crate) now: Micros,
    pub(crate) source: NodeId,
    pub(crate) records: &'a [Event],
    pub(crate) ops_max: u32,
}

impl Instance {
    pub(crate) fn create(table: Table, index: u32, options: &Value, name: &str) -> Result<Self, PluginError> {
        let pending = Pending::of(name);
        let host = Box::new(host::host(pending));
        let options = options.to_string();
        let mut pointer = std::ptr::null_mut();
        let mut sink = Sink::new(JSON_BYTES_MAX);
        let create = table.0.create.expect("checked when the table was read");
        // SAFETY: all that is lent lives through the call, and the host until the instance is destroyed.
        let status = unsafe {
            let (options, name) = (Bytes::of(options.as_bytes()), Bytes::of(name.as_bytes()));
            Status(create(index, &raw const *host, options, name, &raw mut pointer, sink.out()))
        };
        if status != Status::OK {
            return Err(failure(status, sink.bytes().unwrap_or_default()));
        }
        if pointer.is_null() {
            return Err(PluginError::new(ErrorClass::Internal, "it made nothing and says that all is well"));
        }
        Ok(Self { table, pointer, pending, _host: host })
    }

    /// A call that answers at once, with a message and an answer of JSON.
    pub(crate) fn call<T: DeserializeOwned>(&self, op: u32, message: &impl Serialize) -> Result<T, PluginError> {
        let message = to_json(message)?;
        let mut sink = Sink::new(JSON_BYTES_MAX);
        let call = self.table.0.call.expect("checked when the table was read");
        // SAFETY: all that is lent lives through the call.
        let status = Status(unsafe { call(self.pointer, op, Bytes::of(&message), sink.out()) });
        let Some(written) = sink.bytes() else { return Err(too_large()) };
        if status != Status::OK {
            return Err(failure(status, written));
        }
        from_json(written)
    }

    /// Events for a decider; the operations are in the sink afterwards.
    pub(crate) fn batch(&self, call: &Call<'_>, sink: &mut Sink) -> Result<(), PluginError> {
        let batch = Batch {
            size: size_of::<Batch>() as u32,
            op: call.op,
            now_us: call.now.0,
            source: call.source.0,
            stride: size_of::<Event>() as u32,
            count: u32::try_from(call.records.len()).map_err(|_| PluginError::invalid("too many events"))?,
            records: call.records.as_ptr().cast(),
            ops_max: call.ops_max,
            reserved: 0,
        };
        sink.clear();
        let Some(function) = self.table.0.batch else { return Err(PluginError::unsupported("a batch")) };
        // SAFETY: all that is lent lives through the call.
        let status = Status(unsafe { function(self.pointer, &raw const batch, sink.out()) });
        match (status, sink.bytes()) {
            (Status::OK, Some(_)) => Ok(()),
            (_, None) => Err(too_large()),
            (status, Some(written)) => Err(failure(status, written)),
        }
    }

    /// A request to a doer: its answer if it is there at once.
    pub(crate) fn submit(
        &self,
        request: u64,
        op: u32,
        message: &[u8],
        payload: &[u8],
    ) -> Result<Option<Vec<u8>>, PluginError> {
        let Some(submit) = self.table.0.submit else { return Err(PluginError::unsupported("a request")) };
        let mut sink = Sink::new(JSON_BYTES_MAX);
        // SAFETY: all that is lent lives through the call.
        let status =
            Status(unsafe { submit(self.pointer, request, op, Bytes::of(message), Bytes::of(payload), sink.out()) });
        let Some(written) = sink.bytes() else { return Err(too_large()) };
        match status {
            Status::OK => Ok(Some(written.to_vec())),
            Status::PENDING => Ok(None),
            status => Err(failure(status, written)),
        }
    }

    /// The answer is not wanted any more.
    pub(crate) fn cancel(&self, request: u64) {
        if let Some(cancel) = self.table.0.cancel {
            // SAFETY: the instance is alive.
            unsafe { cancel(self.pointer, request) };
        }
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        let destroy = self.table.0.destroy.expect("checked when the table was read");
        // SAFETY: called once, and nothing is called after it.
        unsafe { destroy(self.pointer) };
    }
}

/// What a failed call means.
pub(crate) fn failure(status: Status, written: &[u8]) -> PluginError {
    let told: Failure = serde_json::from_slice(written).unwrap_or_default();
    let class = match status {
        Status::PANICKED | Status::POISONED => ErrorClass::Panicked,
        other => other.class().and_then(|class| ErrorClass::ALL.get(class)).copied().unwrap_or(ErrorClass::Internal),
    };
    let message = match one_line(&told.message) {
        text if text.is_empty() => format!("it failed without a reason (status {})", status.0),
        text if class == ErrorClass::Panicked => format!("it panicked: {text}"),
        text => text,
    };
    let error = PluginError::new(class, message);
    match told.retry_after_ms {
        Some(pause) => error.retry_after(Duration::from_millis(pause)),
        None => error,
    }
}

fn too_large() -> PluginError {
    PluginError::new(ErrorClass::Internal, "its answer is too large")
}

pub(crate) fn to_json(message: &impl Serialize) -> Result<Vec<u8>, PluginError> {
    serde_json::to_vec(message).map_err(|error| PluginError::new(ErrorClass::Internal, error.to_string()))
}

/// Reads an answer; nothing at all counts as null.
pub(crate) fn from_json<T: DeserializeOwned>(written: &[u8]) -> Result<T, PluginError> {
    let written = if written.is_empty() { b"null" } else { written };
    let malformed = |error| PluginError::new(ErrorClass::Internal, format!("its answer cannot be read: {error}"));
    serde_json::from_slice(written).map_err(malformed)
}
