//! Requests that a doer has taken and not yet answered.

use std::collections::HashMap;
use std::ffi::c_void;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use bytes::Bytes;
use peerstream_abi::{JSON_BYTES_MAX, PAYLOAD_BYTES_MAX, Status, api};
use tokio::sync::oneshot;
use tracing::warn;

/// Answers to nothing are logged so many times for each instance.
const WARNINGS_MAX: u64 = 8;

/// An answer, copied.
#[derive(Debug)]
pub(crate) struct Completion {
    pub(crate) status: Status,
    pub(crate) json: Vec<u8>,
    pub(crate) payload: Bytes,
}

/// Who waits for which answer of one instance. Never freed, so that a library that answers after its end does no harm; there are as
/// many as instances were ever made.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    name: String,
    waiting: Mutex<HashMap<u64, oneshot::Sender<Completion>>>,
    last: AtomicU64,
    /// Answers that nobody waits for: a second one, or one that comes after it was given up.
    stray: AtomicU64,
}

impl Pending {
    pub(crate) fn of(name: &str) -> &'static Self {
        Box::leak(Box::new(Self { name: name.to_owned(), ..Self::default() }))
    }

    /// Begins to wait: the request's number, and where its answer comes.
    pub(crate) fn begin(&self) -> (u64, oneshot::Receiver<Completion>) {
        let (sender, receiver) = oneshot::channel();
        let request = self.last.fetch_add(1, Relaxed) + 1;
        self.waiting.lock().expect("no holder panics").insert(request, sender);
        (request, receiver)
    }

    /// The answer is not waited for any more; whether it was.
    pub(crate) fn end(&self, request: u64) -> bool {
        self.waiting.lock().expect("no holder panics").remove(&request).is_some()
    }

    /// Answers that nobody waited for, so far.
    pub(crate) fn stray(&self) -> u64 {
        self.stray.load(Relaxed)
    }

    fn complete(&self, request: u64, completion: Completion) {
        let waiting = self.waiting.lock().expect("no holder panics").remove(&request);
        if let Some(sender) = waiting {
            let _ = sender.send(completion);
        } else if self.stray.fetch_add(1, Relaxed) < WARNINGS_MAX {
            warn!(plugin = self.name, request, "a plug-in answers a request that nobody waits for; ignored");
        }
    }
}

/// The function behind [`api::Host::complete`].
pub(crate) unsafe extern "C" fn complete(
    ctx: *mut c_void,
    request: u64,
    status: i32,
    json: api::Bytes,
    payload: api::Bytes,
) {
    // SAFETY: the context is the leaked `Pending` of the instance, and the library lends the bytes.
    let (pending, json, payload) = unsafe { (&*ctx.cast::<Pending>(), json.slice(), payload.slice()) };
    let fits = json.len() <= JSON_BYTES_MAX && payload.len() <= PAYLOAD_BYTES_MAX;
    let completion = match fits {
        true => Completion { status: Status(status), json: json.to_vec(), payload: Bytes::copy_from_slice(payload) },
        false => Completion {
            status: crate::instance::INTERNAL,
            json: br#"{"message":"its answer is too large"}"#.to_vec(),
            payload: Bytes::new(),
        },
    };
    pending.complete(request, completion);
}
