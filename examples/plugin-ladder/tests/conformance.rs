//! The rules that every plug-in of this kind keeps.

peerstream_sdk::ladder_suite!(peerstream_example_ladder::Mine);
