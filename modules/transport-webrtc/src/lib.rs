//! Links over WebRTC data channels.
