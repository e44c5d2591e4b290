//! Figures for Prometheus: [`text`] writes its text format, [`Prometheus`] is a sink with a port of its own.
//!
//! The sink remembers the latest value of each figure, at most [`SERIES_MAX`], and serves them as `GET /metrics`. Events and reports are
//! not for it: a name per node would be a series per viewer.
//!
//! ```
//! use std::collections::BTreeMap;
//! use peerstream_sdk::traits::telemetry::{Figure, FigureKind};
//!
//! let (kind, labels) = (FigureKind::Counter, BTreeMap::new());
//! let figure = Figure { name: "joins".into(), help: "viewers that joined".into(), kind, value: 3.0, labels };
//! let page = peerstream_telemetry_prometheus::text([&figure]);
//! assert!(page.ends_with("# TYPE peerstream_joins_total counter\npeerstream_joins_total 3\n"));
//! ```

mod config;
mod prometheus;
mod series;
mod server;
mod text;

peerstream_sdk::export_plugin! { telemetry: Prometheus }

pub use config::Config;
pub use prometheus::Prometheus;
pub use series::SERIES_MAX;
pub use server::CONNECTIONS_MAX;
pub use text::{CONTENT_TYPE, text};
