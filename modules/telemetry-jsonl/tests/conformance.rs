//! The rules that every plug-in of this kind keeps.

use std::sync::Arc;

use peerstream_sdk::prelude::*;
use peerstream_sdk::traits::telemetry::SharedSink;
use peerstream_telemetry_jsonl::{Config, Jsonl};

fn fresh() -> SharedSink {
    let path = tempfile::tempdir().unwrap().keep().join("telemetry.jsonl");
    let config = Config { path, reports: true, ..Config::default() };
    Arc::new(Jsonl::build(config, &BuildContext::new("conformance")).unwrap())
}

peerstream_sdk::telemetry_suite!(Jsonl, fresh);
