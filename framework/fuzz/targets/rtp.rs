#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| peerstream_ingest_whip::fuzz::fuzz_rtp(data));
