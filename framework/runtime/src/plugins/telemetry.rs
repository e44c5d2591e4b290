//! The layers around telemetry sinks: interest, queue, batch, timeout, retry. Nothing here ever holds the broadcast up.

use std::collections::BTreeSet;
use std::sync::{Arc, RwLock, RwLockReadGuard};
use std::time::Duration;

use peerstream_traits::ErrorClass;
use peerstream_traits::telemetry::{Batch, Interest, Record, SharedSink, What, WriteReport};
use tokio::time::Instant;

use super::call::{Backoff, call, call_now};
use super::options::{self, ms};
use super::queue::Queue;
use super::supervisor::Supervisor;

/// What a record costs beside its texts, in bytes, about.
const RECORD_BYTES: usize = 128;

/// All sinks at present; cheap to clone. All clones see the same ones.
#[derive(Clone, Default)]
pub struct Telemetry(Arc<RwLock<Vec<Arc<Sink>>>>);

/// One sink with its layers. For each record: `offered` = `accepted` + `rejected` + `dropped` + what waits.
pub(crate) struct Sink {
    plugin: SharedSink,
    interest: Interest,
    queue: Queue<Record>,
    options: options::Telemetry,
    pub(crate) supervisor: Supervisor,
}

impl Telemetry {
    pub(crate) fn new(sinks: Vec<Arc<Sink>>) -> Self {
        Self(Arc::new(RwLock::new(sinks)))
    }

    /// What at least one sink wants.
    pub fn interest(&self) -> Interest {
        let none = Interest { figures: false, events: false, reports: false };
        self.sinks().iter().fold(none, |all, sink| Interest {
            figures: all.figures || sink.interest.figures,
            events: all.events || sink.interest.events,
            reports: all.reports || sink.interest.reports,
        })
    }

    fn sinks(&self) -> RwLockReadGuard<'_, Vec<Arc<Sink>>> {
        self.0.read().expect("no holder panics")
    }

    /// Puts a sink in the place of the one of this name, if there is one; takes that one away when there is no other.
    pub(crate) fn replace(&self, name: &str, next: Option<Arc<Sink>>) {
        let mut sinks = self.0.write().expect("no holder panics");
        sinks.retain(|sink| sink.supervisor.status.identity().name != name);
        sinks.extend(next);
    }

    /// Hands a record to every sink that wants it, without waiting.
    pub fn offer(&self, record: &Record) {
        self.sinks().iter().filter(|sink| sink.interest.wants(record)).for_each(|sink| sink.offer(record.clone()));
    }
}

impl Sink {
    pub(crate) fn new(plugin: SharedSink, options: options::Telemetry, supervisor: Supervisor) -> Self {
        let interest = call_now(|| plugin.interest()).unwrap_or_else(|error| {
            supervisor.blame(&error);
            Interest { figures: false, events: false, reports: false }
        });
        let options::Queue { items_max, bytes_max, when_full } = options.queue;
        Self { plugin, interest, queue: Queue::new(items_max, bytes_max, when_full), options, supervisor }
    }

    fn offer(&self, record: Record) {
        let bytes = bytes_of(&record);
        let status = &self.supervisor.status;
        status.add("offered", "", 1);
        status.add("dropped", "queue-full", self.queue.push(record, bytes).len() as u64);
    }

    /// Delivers until the queue is closed and empty, or the sink may not be used any more.
    pub(crate) async fn run(self: Arc<Self>) {
        if !self.supervisor.status.until_usable().await {
            return self.give_up();
        }
        let options::Batch { items_max, linger_ms } = self.options.batch;
        while let Some(records) = self.queue.batch(items_max, ms(linger_ms)).await {
            self.write(records.into()).await;
            if !self.supervisor.status.is_usable() {
                return self.give_up();
            }
        }
        let plugin = self.plugin.clone();
        let flushed = call(ms(self.options.timeout_ms), async move { plugin.flush().await }).await;
        flushed.unwrap_or_else(|error| self.supervisor.blame(&error));
    }

    async fn write(&self, batch: Batch) {
        let mut backoff = Backoff::new(&self.options.retry);
        loop {
            let (plugin, offered) = (self.plugin.clone(), batch.clone());
            let error = match call(ms(self.options.timeout_ms), async move { plugin.write(offered).await }).await {
                Ok(report) => {
                    self.supervisor.praise();
                    return self.count(&batch, report);
                }
                Err(error) => error,
            };
            self.supervisor.blame(&error);
            match backoff.pause(&error).filter(|_| error.class.is_temporary()) {
                Some(pause) => self.pause(pause).await,
                None => return self.drop_batch(&batch, error.class),
            }
        }
    }

    async fn pause(&self, pause: Duration) {
        self.supervisor.status.add("retries", "", 1);
        tokio::time::sleep(pause).await;
    }

    /// Counts what a sink says has become of a batch. What it does not mention was dropped by it.
    fn count(&self, batch: &Batch, report: WriteReport) {
        let status = &self.supervisor.status;
        let mut seen = BTreeSet::new();
        for (index, class) in report.rejected {
            if (index as usize) < batch.len() && seen.insert(index) {
                status.add("rejected", class.word(), 1);
            }
        }
        let rest = (batch.len() - seen.len()) as u64;
        let accepted = u64::from(report.accepted).min(rest);
        status.add("accepted", "", accepted);
        status.add("dropped", "unaccounted", rest - accepted);
    }

    fn drop_batch(&self, batch: &Batch, class: ErrorClass) {
        self.supervisor.status.add("dropped", class.word(), batch.len() as u64);
    }

    /// What it has not taken by now is dropped.
    fn give_up(&self) {
        drop(self.queue.clear());
        let status = &self.supervisor.status;
        let settled = status.total("accepted") + status.total("rejected") + status.total("dropped");
        status.add("dropped", "stopped", status.total("offered").saturating_sub(settled));
    }

    /// Lets it deliver what waits, by this time at most, and ends it.
    pub(crate) async fn stop(&self, worker: tokio::task::JoinHandle<()>) {
        let by = Instant::now() + self.supervisor.stop_timeout();
        self.queue.close();
        let mut worker = super::call::AbortOnDrop(worker);
        // The last part of the time belongs to the sink itself.
        let drain_by = by - self.supervisor.stop_timeout() / 4;
        let drained =
            self.supervisor.status.is_usable() && tokio::time::timeout_at(drain_by, &mut worker.0).await.is_ok();
        if !drained {
            worker.0.abort();
            let _ = (&mut worker.0).await;
            self.give_up();
        }
        self.supervisor.stop(by).await;
    }
}

fn bytes_of(record: &Record) -> usize {
    RECORD_BYTES
        + match &record.what {
            What::Figure(figure) => {
                let labels: usize = figure.labels.iter().map(|(label, value)| label.len() + value.len()).sum();
                figure.name.len() + figure.help.len() + labels
            }
            What::Event(event) => {
                let fields: usize =
                    event.fields.iter().map(|(field, value)| field.len() + value.to_string().len()).sum();
                event.name.len() + event.node.as_ref().map_or(0, String::len) + fields
            }
            What::Report(report) => report.node.len(),
        }
}
