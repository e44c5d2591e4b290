//! The rules that every plug-in of this kind keeps. There is no site: parts wait in the spool.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use peerstream_archive_peertube::{Config, PeerTube};
use peerstream_sdk::prelude::*;
use peerstream_sdk::traits::archive::SharedArchive;

/// An archive with a spool of its own, all below one folder that goes with the process.
fn fresh() -> SharedArchive {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let below = std::env::temp_dir().join(format!("peerstream-conformance-peertube-{}", std::process::id()));
    let folder = below.join(COUNT.fetch_add(1, Relaxed).to_string());
    let _ = std::fs::remove_dir_all(&folder);
    // A port on which nobody listens.
    let config = Config { folder, url: "http://127.0.0.1:9".into(), ..Config::default() };
    Arc::new(PeerTube::build(config, &BuildContext::new("conformance")).unwrap())
}

peerstream_sdk::archive_suite!(PeerTube, fresh);
