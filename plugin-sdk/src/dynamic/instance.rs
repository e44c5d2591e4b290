//! An instance behind a pointer that the host holds.

use std::cell::UnsafeCell;
use std::ffi::c_void;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use peerstream_abi::message::Failure;
use peerstream_abi::{Batch, Host, Out, Status};
use peerstream_traits::{Build, BuildContext, ErrorClass, PluginError, Registration};
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
    Strategy(OneCaller<Strategy>),
    Ladder(OneCaller<Ladder>),
    Doer(Doer, Tasks),
}

/// A decider, which is called by one thread at a time; a host that does otherwise is told so. Half the cost of a lock.
struct OneCaller<T> {
    called: AtomicBool,
    it: UnsafeCell<T>,
}

// SAFETY: `called` lets one thread at a time in.
unsafe impl<T: Send> Sync for OneCaller<T> {}

impl<T> OneCaller<T> {
    fn new(it: T) -> Self {
        Self { called: AtomicBool::new(false), it: UnsafeCell::new(it) }
    }

    fn with(&self, call: impl FnOnce(&mut T) -> Answer) -> Answer {
        if self.called.swap(true, Acquire) {
            return Err(PluginError::new(ErrorClass::Conflict, "a decider is called by one thread at a time"));
        }
        // SAFETY: the flag was not set, so nobody else is here. It stays set after a panic, after which nobody comes here.
        let answer = call(unsafe { &mut *self.it.get() });
        self.called.store(false, Release);
        answer
    }
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
            Build::Strategy(make) => What::Strategy(OneCaller::new(Strategy::new(make(options, context)?))),
            Build::Ladder(make) => What::Ladder(OneCaller::new(Ladder::new(make(options, context)?))),
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
            What::Strategy(strategy) => strategy.with(|it| it.call(op, json, out)),
            What::Ladder(_) => Err(PluginError::unsupported("this call")),
            What::Doer(doer, _) => doer.call(op, out),
        }
    }

    pub(super) fn batch(&self, batch: &Batch, out: Out) -> Answer {
        match &self.what {
            What::Strategy(strategy) => strategy.with(|it| it.batch(batch, out)),
            What::Ladder(ladder) => ladder.with(|it| it.batch(batch, out)),
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
