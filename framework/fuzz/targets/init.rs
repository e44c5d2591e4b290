#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| peerstream_protocol::segment::fuzz_decode(data));
