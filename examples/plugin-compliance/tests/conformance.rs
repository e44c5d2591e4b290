//! The rules that every plug-in of this kind keeps.

use peerstream_example_compliance::Mine;

peerstream_sdk::compliance_suite!(Mine, || std::sync::Arc::new(peerstream_sdk::testkit::build::<Mine>()));
