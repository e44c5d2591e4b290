//! The rules that every plug-in of this kind keeps.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use peerstream_example_tracks::{Config, Tracks};
use peerstream_sdk::prelude::*;
use peerstream_sdk::traits::archive::SharedArchive;

/// An archive in a folder of its own, all below one that goes with the process.
fn fresh() -> SharedArchive {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let below = std::env::temp_dir().join(format!("peerstream-conformance-tracks-{}", std::process::id()));
    let folder = below.join(COUNT.fetch_add(1, Relaxed).to_string());
    let _ = std::fs::remove_dir_all(&folder);
    Arc::new(Tracks::build(Config { folder }, &BuildContext::new("conformance")).unwrap())
}

peerstream_sdk::archive_suite!(Tracks, fresh);
