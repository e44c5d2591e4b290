//! The rules that every plug-in of this kind keeps.

peerstream_sdk::ladder_suite!(peerstream_step_down::StepDown);
