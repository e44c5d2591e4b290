//! The rules that every plug-in of this kind keeps.

use std::sync::Arc;

use peerstream_compliance_queue::Queue;
use peerstream_sdk::prelude::*;
use peerstream_sdk::traits::compliance::SharedHandler;

fn fresh() -> SharedHandler {
    Arc::new(Queue::build(NoOptions {}, &BuildContext::new("conformance")).unwrap())
}

peerstream_sdk::compliance_suite!(Queue, fresh);
