#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| peerstream_recording::fuzz::fuzz_lines(data));
