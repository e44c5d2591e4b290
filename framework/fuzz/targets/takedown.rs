#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| peerstream_takedown::fuzz::takedown(data));
