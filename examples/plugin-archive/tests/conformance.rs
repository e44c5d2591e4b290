//! The rules that every plug-in of this kind keeps.

use peerstream_example_archive::Mine;

peerstream_sdk::archive_suite!(Mine, || std::sync::Arc::new(peerstream_sdk::testkit::build::<Mine>()));
