//! The rules that every plug-in of this kind keeps.

use peerstream_example_admission::Mine;

peerstream_sdk::admission_suite!(Mine, || std::sync::Arc::new(peerstream_sdk::testkit::build::<Mine>()));
