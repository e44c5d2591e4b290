//! The sink.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use peerstream_sdk::prelude::*;
use peerstream_sdk::traits::telemetry::{Batch, Interest, TelemetrySink, What, WriteReport};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::config::Config;
use crate::series::Series;
use crate::server::{Page, serve};

/// Shows the latest figures on a port of its own.
#[derive(Debug)]
pub struct Prometheus {
    config: Config,
    page: Arc<Page>,
    serving: Mutex<Option<Serving>>,
}

#[derive(Debug)]
struct Serving {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Prometheus {
    /// Where it listens once it has started: of use when the config says port 0.
    pub fn address(&self) -> Option<SocketAddr> {
        self.serving.lock().expect("no holder panics").as_ref().map(|serving| serving.address)
    }

    fn wanted(&self) -> Result<SocketAddr, PluginError> {
        self.config.address().ok_or_else(|| PluginError::invalid(format!("`{}` is no address", self.config.listen)))
    }

    async fn bind(&self) -> Result<TcpListener, PluginError> {
        let address = self.wanted()?;
        TcpListener::bind(address).await.map_err(|error| {
            let PluginError { class, message, .. } = PluginError::from(error);
            PluginError::new(class, format!("cannot listen on {address}: {message}"))
        })
    }
}

impl Plugin for Prometheus {
    const NAME: &'static str = "prometheus";
    const SUMMARY: &'static str = "figures on a port of its own, for Prometheus to scrape";
    const STABILITY: Stability = Stability::Beta;
    type Config = Config;

    fn build(config: Config, _: &BuildContext<'_>) -> Result<Self, PluginError> {
        let stale_after_us = config.stale_after_s.saturating_mul(1_000_000);
        let page = Arc::new(Page { series: Mutex::new(Series::default()), stale_after_us });
        Ok(Self { config, page, serving: Mutex::default() })
    }
}

#[async_trait]
impl Lifecycle for Prometheus {
    async fn probe(&self) -> Result<(), PluginError> {
        self.bind().await.map(drop)
    }

    async fn start(&self) -> Result<(), PluginError> {
        let listener = self.bind().await?;
        let address = listener.local_addr()?;
        let task = tokio::spawn(serve(listener, self.page.clone()));
        *self.serving.lock().expect("no holder panics") = Some(Serving { address, task });
        Ok(())
    }

    fn health(&self) -> Health {
        match &*self.serving.lock().expect("no holder panics") {
            Some(serving) if !serving.task.is_finished() => Health::Ok,
            _ => Health::Failed { why: "the page is not served".into() },
        }
    }

    async fn stop(&self, _: Duration) -> Result<(), PluginError> {
        let serving = self.serving.lock().expect("no holder panics").take();
        drop(serving);
        Ok(())
    }
}

#[async_trait]
impl TelemetrySink for Prometheus {
    fn interest(&self) -> Interest {
        Interest::FIGURES
    }

    async fn write(&self, batch: Batch) -> Result<WriteReport, PluginError> {
        let mut report = WriteReport::default();
        let mut series = self.page.series.lock().expect("no holder panics");
        for (index, record) in batch.iter().enumerate() {
            let taken = match &record.what {
                What::Figure(figure) => series.put(record.at_us, figure),
                What::Event(_) | What::Report(_) => true,
            };
            if taken {
                report.accepted += 1;
            } else {
                report.rejected.push((index as u32, ErrorClass::RateLimited));
            }
        }
        Ok(report)
    }
}
