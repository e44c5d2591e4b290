//! A telemetry sink: figures to a StatsD server, one datagram each.

use std::net::UdpSocket;

use peerstream_sdk::prelude::*;
use peerstream_sdk::traits::telemetry::{Batch, Interest, TelemetrySink, What, WriteReport};

/// The options.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Address and UDP port of the server.
    pub server: String,
    /// What every name begins with.
    pub prefix: String,
}

impl Default for Config {
    fn default() -> Self {
        Self { server: "127.0.0.1:8125".into(), prefix: "peerstream.".into() }
    }
}

impl PluginConfig for Config {
    fn validate(&self, violations: &mut Violations) {
        violations.push_if(!self.server.contains(':'), "server", "has no port, expected such as 127.0.0.1:8125");
    }
}

/// The sink.
pub struct Mine {
    config: Config,
}

impl Plugin for Mine {
    const NAME: &'static str = "statsd";
    const SUMMARY: &'static str = "figures to a StatsD server";
    type Config = Config;

    fn build(config: Config, _: &BuildContext<'_>) -> Result<Self, PluginError> {
        Ok(Self { config })
    }
}

impl Lifecycle for Mine {}

#[async_trait]
impl TelemetrySink for Mine {
    fn interest(&self) -> Interest {
        Interest::FIGURES
    }

    async fn write(&self, batch: Batch) -> Result<WriteReport, PluginError> {
        let socket = UdpSocket::bind("0.0.0.0:0")?;
        socket.set_nonblocking(true)?;
        for record in batch.iter() {
            let What::Figure(figure) = &record.what else { continue };
            // What counts up is sent as it is too: a gauge that only grows.
            let line = format!("{}{}:{}|g", self.config.prefix, figure.name, figure.value);
            let _ = socket.send_to(line.as_bytes(), &self.config.server);
        }
        Ok(WriteReport::all(&batch))
    }
}

peerstream_sdk::export_plugin! { telemetry: Mine }
