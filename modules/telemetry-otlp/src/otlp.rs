//! The sink.

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use peerstream_sdk::prelude::*;
use peerstream_sdk::traits::telemetry::{Batch, Interest, TelemetrySink, What, WriteReport};

use crate::client::Client;
use crate::config::Config;
use crate::message;

/// Sends records to a collector.
#[derive(Debug)]
pub struct Otlp {
    config: Config,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    client: Option<Client>,
    /// Since when counters count, microseconds since 1970.
    start_us: u64,
    /// A batch whose metrics were taken and whose logs were not: offered again, its metrics are not sent twice.
    half_done: Option<(Batch, u64)>,
}

impl Otlp {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().expect("no holder panics")
    }

    /// Sends one half of a batch, if there is anything in it, and gives how many of it were refused.
    async fn send(&self, client: &Client, path: &'static str, message: Option<Vec<u8>>) -> Result<u64, PluginError> {
        let Some(message) = message else { return Ok(0) };
        let client = client.clone();
        let answer = tokio::task::spawn_blocking(move || client.send(path, &message)).await;
        let answer = answer.map_err(|error| PluginError::new(ErrorClass::Internal, error.to_string()))??;
        Ok(message::rejected(&answer))
    }

    fn metrics(&self, batch: &Batch, start_us: u64) -> Option<Vec<u8>> {
        let figures = || {
            batch.iter().filter_map(|record| match &record.what {
                What::Figure(figure) => Some((record.at_us, figure)),
                _ => None,
            })
        };
        let reports = || {
            batch.iter().filter_map(|record| match &record.what {
                What::Report(report) => Some((record.at_us, report)),
                _ => None,
            })
        };
        let any = figures().next().is_some() || reports().next().is_some();
        any.then(|| message::metrics(&self.config, start_us, figures(), reports()))
    }

    fn logs(&self, batch: &Batch) -> Option<Vec<u8>> {
        let events = || {
            batch.iter().filter_map(|record| match &record.what {
                What::Event(event) => Some((record.at_us, event)),
                _ => None,
            })
        };
        events().next().is_some().then(|| message::logs(&self.config, events()))
    }
}

impl Plugin for Otlp {
    const NAME: &'static str = "otlp";
    const SUMMARY: &'static str = "figures and events to an OpenTelemetry collector, OTLP over HTTP";
    const STABILITY: Stability = Stability::Beta;
    type Config = Config;

    fn build(config: Config, _: &BuildContext<'_>) -> Result<Self, PluginError> {
        Ok(Self { config, state: Mutex::default() })
    }
}

#[async_trait]
impl Lifecycle for Otlp {
    /// An empty request, which a collector takes.
    async fn probe(&self) -> Result<(), PluginError> {
        let client = Client::new(&self.config);
        self.send(&client, "/v1/metrics", Some(Vec::new())).await.map(drop)
    }

    async fn start(&self) -> Result<(), PluginError> {
        let config = self.config.clone();
        let client = tokio::task::spawn_blocking(move || Client::new(&config)).await;
        let client = client.map_err(|error| PluginError::new(ErrorClass::Internal, error.to_string()))?;
        let start_us = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros() as u64;
        *self.state() = State { client: Some(client), start_us, half_done: None };
        Ok(())
    }

    async fn stop(&self, _: Duration) -> Result<(), PluginError> {
        self.state().client = None;
        Ok(())
    }
}

#[async_trait]
impl TelemetrySink for Otlp {
    fn interest(&self) -> Interest {
        self.config.interest()
    }

    async fn write(&self, batch: Batch) -> Result<WriteReport, PluginError> {
        let (client, start_us, half_done) = {
            let mut state = self.state();
            (state.client.clone(), state.start_us, state.half_done.take())
        };
        let client = client.ok_or_else(|| PluginError::unavailable("the sink is not started"))?;
        let metrics_refused = match half_done.filter(|(done, _)| Arc::ptr_eq(done, &batch)) {
            Some((_, refused)) => refused,
            None => self.send(&client, "/v1/metrics", self.metrics(&batch, start_us)).await?,
        };
        let logs_refused = match self.send(&client, "/v1/logs", self.logs(&batch)).await {
            Ok(refused) => refused,
            Err(error) => {
                self.state().half_done = Some((batch, metrics_refused));
                return Err(error);
            }
        };
        Ok(report(&batch, metrics_refused, logs_refused))
    }
}

/// A collector says how many it refused and not which: as many of that sort, from the last one back, are named.
fn report(batch: &Batch, metrics_refused: u64, logs_refused: u64) -> WriteReport {
    let mut left = [metrics_refused, logs_refused];
    let mut rejected = Vec::new();
    for (index, record) in batch.iter().enumerate().rev() {
        let left = &mut left[usize::from(matches!(record.what, What::Event(_)))];
        if *left > 0 {
            *left -= 1;
            rejected.push((index as u32, ErrorClass::Invalid));
        }
    }
    WriteReport { accepted: (batch.len() - rejected.len()) as u32, rejected }
}
