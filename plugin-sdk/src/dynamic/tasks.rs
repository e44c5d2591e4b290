//! Requests under way, on a runtime of the library's own: the host's cannot be used from here.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use peerstream_abi::{Bytes, Host, Status};
use peerstream_traits::{ErrorClass, PluginError};
use tokio::runtime::Runtime;
use tokio::task::{AbortHandle, JoinError};

use super::doer::{Done, Work};
use super::{Answer, failure_of, panic_message, status_of};

/// What is still running when an instance ends gets this long to be aborted.
const END_GRACE: Duration = Duration::from_secs(1);

/// The host's functions, until the instance ends.
#[derive(Clone, Copy)]
struct Caller(Host);

// SAFETY: the host's functions may be called from any thread.
unsafe impl Send for Caller {}

pub(super) struct Tasks {
    /// Made with the first request: to make an instance has no effects.
    runtime: OnceLock<std::io::Result<Runtime>>,
    shared: Arc<Shared>,
}

struct Shared {
    /// None once the instance has ended. Held while the host is called, so that the end waits for that.
    caller: Mutex<Option<Caller>>,
    running: Mutex<HashMap<u64, AbortHandle>>,
}

impl Tasks {
    pub(super) fn new(host: Host) -> Self {
        let caller = Mutex::new(Some(Caller(host)));
        Self { runtime: OnceLock::new(), shared: Arc::new(Shared { caller, running: Mutex::default() }) }
    }

    pub(super) fn spawn(&self, request: u64, work: Work) -> Answer {
        let runtime = self.runtime.get_or_init(|| {
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().thread_name("plug-in").build()
        });
        let failed = |error: &std::io::Error| PluginError::unavailable(format!("no thread to run in: {error}"));
        let runtime = runtime.as_ref().map_err(failed)?;
        let mut running = self.shared.running.lock().expect("no holder panics");
        let task = runtime.spawn(work);
        running.insert(request, task.abort_handle());
        drop(running);
        let shared = self.shared.clone();
        runtime.spawn(async move { shared.complete(request, task.await) });
        Ok(Status::PENDING)
    }

    pub(super) fn cancel(&self, request: u64) {
        let task = self.shared.running.lock().expect("no holder panics").remove(&request);
        if let Some(task) = task {
            task.abort();
        }
    }

    pub(super) fn end(self) {
        *self.shared.caller.lock().expect("no holder panics") = None;
        if let Some(Ok(runtime)) = self.runtime.into_inner() {
            runtime.shutdown_timeout(END_GRACE);
        }
    }
}

impl Shared {
    fn complete(&self, request: u64, ended: Result<Result<Done, PluginError>, JoinError>) {
        self.running.lock().expect("no holder panics").remove(&request);
        let (status, json, payload) = match ended {
            Ok(Ok(Done { json, payload })) => (Status::OK, json, payload.concat()),
            Ok(Err(error)) => failed(&error),
            Err(ended) if ended.is_panic() => {
                let panic = ended.into_panic();
                let error = PluginError::new(ErrorClass::Panicked, panic_message(&*panic));
                std::mem::forget(panic);
                failed(&error)
            }
            Err(_) => failed(&PluginError::new(ErrorClass::Timeout, "it was cancelled")),
        };
        let caller = self.caller.lock().expect("no holder panics");
        if let Some(Caller(host)) = *caller {
            // SAFETY: the instance has not ended, so the host's functions are there.
            unsafe { (host.complete)(host.ctx, request, status.0, Bytes::of(&json), Bytes::of(&payload)) };
        }
    }
}

fn failed(error: &PluginError) -> (Status, Vec<u8>, Vec<u8>) {
    (status_of(error.class), serde_json::to_vec(&failure_of(error)).unwrap_or_default(), Vec::new())
}
