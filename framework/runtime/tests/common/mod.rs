//! Plug-ins that misbehave in ways that a test decides.
#![allow(dead_code)] // each test file uses its own part

pub mod stage;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use peerstream::plugins::{Instance, Plugins, Shown, Statuses};
use peerstream::protocol::crypto::PublicKey;
use peerstream::traits::telemetry::{Batch, Event, Interest, Record, TelemetrySink, What, WriteReport};
use peerstream::traits::{ErrorClass, Health, Lifecycle, PluginError};

pub fn instance<P, O>(name: &str, plugin: P, options: O) -> Instance<P, O> {
    Instance { name: name.into(), plugin_name: "fake".into(), origin: "test".into(), plugin, options }
}

pub fn none() -> Plugins {
    Plugins::none(PublicKey([7; 32]))
}

pub fn event(name: &str) -> Record {
    let event = Event { name: name.into(), node: None, fields: BTreeMap::new() };
    Record { at_us: 1, what: What::Event(event) }
}

pub fn shown(statuses: &Statuses, name: &str) -> Shown {
    statuses.shown().into_iter().find(|shown| shown.identity.name == name).expect("it is shown")
}

pub fn counted(statuses: &Statuses, name: &str, counter: &str) -> u64 {
    shown(statuses, name).counters.get(counter).copied().unwrap_or_default()
}

/// All that is counted under a name, for whatever reason.
pub fn total(statuses: &Statuses, name: &str, counter: &str) -> u64 {
    let of = |key: &str| key == counter || key.split_once('.').is_some_and(|(what, _)| what == counter);
    shown(statuses, name).counters.iter().filter(|(key, _)| of(key)).map(|(_, count)| count).sum()
}

type Answer = Box<dyn Fn(u32, &Batch) -> Result<WriteReport, PluginError> + Send + Sync>;

/// A sink.
pub struct Fake {
    pub written: Mutex<Vec<Record>>,
    pub largest: AtomicU64,
    pub calls: AtomicU32,
    pub starts: AtomicU32,
    pub stops: AtomicU32,
    /// Starts that fail before one succeeds.
    pub failing_starts: u32,
    pub start_takes: Duration,
    pub takes: Duration,
    pub interest: Interest,
    pub health: Mutex<Health>,
    pub answer: Answer,
}

impl Default for Fake {
    fn default() -> Self {
        Self {
            written: Mutex::default(),
            largest: AtomicU64::default(),
            calls: AtomicU32::default(),
            starts: AtomicU32::default(),
            stops: AtomicU32::default(),
            failing_starts: 0,
            start_takes: Duration::ZERO,
            takes: Duration::ZERO,
            interest: Interest::ALL,
            health: Mutex::default(),
            answer: Box::new(|_, batch| Ok(WriteReport::all(batch))),
        }
    }
}

impl Fake {
    pub fn answering(
        answer: impl Fn(u32, &Batch) -> Result<WriteReport, PluginError> + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self { answer: Box::new(answer), ..Self::default() })
    }

    pub fn failing(class: ErrorClass) -> Arc<Self> {
        Self::answering(move |_, _| Err(PluginError::new(class, "no")))
    }
}

#[async_trait]
impl Lifecycle for Fake {
    async fn start(&self) -> Result<(), PluginError> {
        tokio::time::sleep(self.start_takes).await;
        if self.starts.fetch_add(1, Relaxed) < self.failing_starts {
            return Err(PluginError::unavailable("port is taken"));
        }
        Ok(())
    }

    fn health(&self) -> Health {
        self.health.lock().unwrap().clone()
    }

    async fn stop(&self, _: Duration) -> Result<(), PluginError> {
        self.stops.fetch_add(1, Relaxed);
        Ok(())
    }
}

#[async_trait]
impl TelemetrySink for Fake {
    fn interest(&self) -> Interest {
        self.interest
    }

    async fn write(&self, batch: Batch) -> Result<WriteReport, PluginError> {
        tokio::time::sleep(self.takes).await;
        self.largest.fetch_max(batch.len() as u64, Relaxed);
        let report = (self.answer)(self.calls.fetch_add(1, Relaxed), &batch)?;
        self.written.lock().unwrap().extend(batch.iter().cloned());
        Ok(report)
    }
}
