//! Figures and events for OpenTelemetry, as OTLP over HTTP with binary protobuf.
//!
//! Figures become metrics, `/v1/metrics`; events become log records, `/v1/logs`; reports, if wanted, metrics with the node as an
//! attribute. The few messages that are needed are written by hand in `message.rs`; the test decodes them with the published protobufs.

mod client;
mod config;
mod message;
mod otlp;
mod wire;

peerstream_sdk::export_plugin! { telemetry: Otlp }

pub use config::Config;
pub use otlp::Otlp;
