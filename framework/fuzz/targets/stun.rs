#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| peerstream_transport_webrtc::stun::fuzz_answer(data));
