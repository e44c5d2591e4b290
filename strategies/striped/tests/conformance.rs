//! The rules that every tree strategy keeps.

peerstream_sdk::strategy_suite!(peerstream_striped::Striped);
