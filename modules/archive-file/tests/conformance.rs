//! The rules that every plug-in of this kind keeps.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use peerstream_archive_file::{Config, File};
use peerstream_sdk::prelude::*;
use peerstream_sdk::traits::archive::SharedArchive;

/// A recording in a folder of its own, all below one that goes with the process.
fn fresh() -> SharedArchive {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let below = std::env::temp_dir().join(format!("peerstream-conformance-file-{}", std::process::id()));
    let folder = below.join(COUNT.fetch_add(1, Relaxed).to_string());
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    let config = Config { path: folder.join("show.mp4"), ..Config::default() };
    Arc::new(File::build(config, &BuildContext::new("conformance")).unwrap())
}

peerstream_sdk::archive_suite!(File, fresh);
