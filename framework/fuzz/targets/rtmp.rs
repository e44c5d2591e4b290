#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| peerstream_ingest_rtmp::fuzz::fuzz_session(data));
