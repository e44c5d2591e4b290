//! The rules that every plug-in of this kind keeps.

peerstream_sdk::strategy_suite!(peerstream_example_strategy::Mine);
