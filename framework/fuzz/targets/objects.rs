#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| peerstream_archive_store::fuzz::fuzz_objects(data));
