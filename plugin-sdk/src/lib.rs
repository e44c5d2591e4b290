//! What a plug-in author depends on: the protocol's words, the deciders' and the doers' traits.

pub use peerstream_overlay as overlay;
pub use peerstream_protocol as protocol;
pub use peerstream_traits as traits;
