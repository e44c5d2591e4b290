//! The rules that every plug-in of this kind keeps.

use std::sync::Arc;

use peerstream_sdk::prelude::*;
use peerstream_sdk::traits::telemetry::SharedSink;
use peerstream_telemetry_prometheus::{Config, Prometheus};

fn fresh() -> SharedSink {
    let config = Config { listen: "127.0.0.1:0".into(), ..Config::default() };
    Arc::new(Prometheus::build(config, &BuildContext::new("conformance")).unwrap())
}

peerstream_sdk::telemetry_suite!(Prometheus, fresh);
