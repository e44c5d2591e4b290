//! The rules that every plug-in of this kind keeps.

use peerstream_example_telemetry::Mine;

peerstream_sdk::telemetry_suite!(Mine, || std::sync::Arc::new(peerstream_sdk::testkit::build::<Mine>()));
