//! An instance behind a pointer that the host holds.

use std::ffi::c_void;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use peerstream_abi::message::Failure;
use peerstream_abi::{Batch, Host, Out, Status};
use peerstream_traits::{Build, BuildContext, PluginError, Registration};
use serde_json::Value;

use super::decider::{Ladder, Strategy};
use super::doer::Doer;
use super::tasks::Tasks;
use super::{Answer, contained, options_or_empty, write_json};

pub(super) struct Instance {
    /// It has panicked, so nobody knows what state it is in.
    poisoned: AtomicBool,
    what: What,
}

enum What {
    Strategy(Mutex<Strategy>),
    Ladder(Mutex<Ladder>),
    Doer(Doer, Tasks),
}

impl Instance {
    pub(super) fn build(
        plugin: &Registration,
        host: Host,
        options: &Value,
        context: &BuildContext<'_>,
    ) -> Result<Self, PluginError> {
        let options = &options_or_empty(options.clone());
        let doer = |doer| What::Doer(doer, Tasks::new(host));
        let what = match plugin.build {
            Build::Strategy(make) => What::Strategy(Mutex::new(Strategy::new(make(options, context)?))),
            Build::Ladder(make) => What::Ladder(Mutex::new(Ladder::new(make(options, context)?))),
            Build::Telemetry(make) => doer(Doer::Telemetry(make(options, context)?)),
            Build::Archive(make) => doer(Doer::Archive(make(options, context)?)),
            Build::Compliance(make) => doer(Doer::Compliance(make(options, context)?)),
            Build::Admission(make) => doer(Doer::Admission(make(options, context)?)),
            Build::Transport(_) | Build::Ingest(_) => {
                return Err(PluginError::unsupported("a transport or an ingest in a dynamic library"));
            }
        };
        Ok(Self { poisoned: AtomicBool::new(false), what })
    }

    /// # Safety
    /// `pointer` is what `create` gave to the host and was not destroyed.
    pub(super) unsafe fn of<'a>(pointer: *mut c_void) -> &'a Self {
        // SAFETY: the caller's promise; an instance is only ever borrowed shared.
        unsafe { &*pointer.cast::<Self>() }
    }

    /// Runs without letting a panic out; after one, nothing runs.
    pub(super) fn contained(&self, out: Out, run: impl FnOnce(&Self) -> Answer) -> i32 {
        if self.poisoned.load(Relaxed) {
            let message = "it panicked before".to_owned();
            let _ = write_json(out, &Failure { message, retry_after_ms: None });
            return Status::POISONED.0;
        }
        let status = contained(out, || run(self));
        if status == Status::PANICKED.0 {
            self.poisoned.store(true, Relaxed);
        }
        status
    }

    pub(super) fn call(&self, op: u32, json: &[u8], out: Out) -> Answer {
        match &self.what {
            What::Strategy(strategy) => strategy.lock().expect("poisoned ones do not get here").call(op, json, out),
            What::Ladder(_) => Err(PluginError::unsupported("this call")),
            What::Doer(doer, _) => doer.call(op, out),
        }
    }

    pub(super) fn batch(&self, batch: &Batch, out: Out) -> Answer {
        match &self.what {
            What::Strategy(strategy) => strategy.lock().expect("poisoned ones do not get here").batch(batch, out),
            What::Ladder(ladder) => ladder.lock().expect("poisoned ones do not get here").batch(batch, out),
            What::Doer(..) => Err(PluginError::unsupported("a batch")),
        }
    }

    pub(super) fn submit(&self, request: u64, op: u32, json: &[u8], payload: &[u8]) -> Answer {
        match &self.what {
            What::Doer(doer, tasks) => {
                let work = doer.submit(op, json, payload)?;
                tasks.spawn(request, work)
            }
            What::Strategy(_) | What::Ladder(_) => Err(PluginError::unsupported("a request")),
        }
    }

    pub(super) fn cancel(&self, request: u64) {
        if let What::Doer(_, tasks) = &self.what {
            tasks.cancel(request);
        }
    }

    /// After this no call to the host is under way or will come.
    pub(super) fn end(self) {
        if let What::Doer(doer, tasks) = self.what {
            tasks.end();
            drop(doer);
        }
    }
}
