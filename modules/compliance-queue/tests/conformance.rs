//! The rules that every plug-in of this kind keeps.

use std::sync::Arc;

use peerstream_compliance_queue::{Config, Queue};
use peerstream_sdk::prelude::*;
use peerstream_sdk::traits::compliance::SharedHandler;

fn fresh() -> SharedHandler {
    let folder = tempfile::tempdir().unwrap().keep();
    let config = Config { folder, ..Config::default() };
    Arc::new(Queue::build(config, &BuildContext::new("conformance")).unwrap())
}

peerstream_sdk::compliance_suite!(Queue, fresh);
