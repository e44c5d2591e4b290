//! The rules that every plug-in of this kind keeps.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use peerstream_archive_store::{Config, Store};
use peerstream_sdk::prelude::*;
use peerstream_sdk::traits::archive::SharedArchive;

/// An archive in a folder of its own, all below one that goes with the process.
fn fresh() -> SharedArchive {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let below = std::env::temp_dir().join(format!("peerstream-conformance-{}", std::process::id()));
    let folder = below.join(COUNT.fetch_add(1, Relaxed).to_string());
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    let config = Config { folder, ..Config::default() };
    Arc::new(Store::build(config, &BuildContext::new("conformance")).unwrap())
}

peerstream_sdk::archive_suite!(Store, fresh);
