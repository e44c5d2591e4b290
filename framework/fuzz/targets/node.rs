#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| peerstream_node::fuzz::fuzz(data));
