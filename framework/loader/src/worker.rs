//! A decider on a thread of its own, so that one that hangs is given up and nobody hangs with it.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use peerstream_abi::api::Sink;
use peerstream_abi::record::Event;
use peerstream_protocol::id::NodeId;
use peerstream_protocol::time::Micros;
use peerstream_traits::{ErrorClass, PluginError};
use serde_json::Value;

use crate::instance::{Call, Instance};

/// One thing for the thread to do.
pub(crate) enum Job {
    Batch { op: u32, now: Micros, source: NodeId, records: Vec<Event>, ops_max: u32, sink: Sink },
    Call { op: u32, message: Value },
}

/// What came of it; a batch gives its memory back.
pub(crate) enum Outcome {
    Batch { records: Vec<Event>, sink: Sink, result: Result<(), PluginError> },
    Call(Result<Value, PluginError>),
}

/// The thread. One job at a time.
#[derive(Debug)]
pub(crate) struct Worker {
    jobs: Sender<Job>,
    outcomes: Receiver<Outcome>,
    /// It did not answer in time, and is never asked again. Its thread is left alone.
    lost: bool,
}

impl Worker {
    pub(crate) fn start(instance: Instance, name: &str) -> Result<Self, PluginError> {
        let (jobs, inbox) = channel();
        let (sender, outcomes) = channel();
        thread::Builder::new()
            .name(format!("plug-in {name}"))
            .spawn(move || run(&instance, &inbox, &sender))
            .map_err(|error| PluginError::unavailable(format!("no thread to run in: {error}")))?;
        Ok(Self { jobs, outcomes, lost: false })
    }

    /// Waits for the outcome, at most this long.
    pub(crate) fn ask(&mut self, job: Job, patience: Duration) -> Result<Outcome, PluginError> {
        let gone = || PluginError::new(ErrorClass::Panicked, "its thread has ended");
        if self.lost {
            return Err(PluginError::new(ErrorClass::Timeout, "it did not answer before"));
        }
        self.jobs.send(job).map_err(|_| gone())?;
        match self.outcomes.recv_timeout(patience) {
            Ok(outcome) => Ok(outcome),
            Err(RecvTimeoutError::Disconnected) => Err(gone()),
            Err(RecvTimeoutError::Timeout) => {
                self.lost = true;
                let message = format!("it did not answer within {} ms", patience.as_millis());
                Err(PluginError::new(ErrorClass::Timeout, message))
            }
        }
    }
}

/// Ends with the worker; the instance is destroyed here.
fn run(instance: &Instance, jobs: &Receiver<Job>, outcomes: &Sender<Outcome>) {
    for job in jobs {
        let outcome = match job {
            Job::Batch { op, now, source, records, ops_max, mut sink } => {
                let result = instance.batch(&Call { op, now, source, records: &records, ops_max }, &mut sink);
                Outcome::Batch { records, sink, result }
            }
            Job::Call { op, message } => Outcome::Call(instance.call(op, &message)),
        };
        if outcomes.send(outcome).is_err() {
            return;
        }
    }
}
