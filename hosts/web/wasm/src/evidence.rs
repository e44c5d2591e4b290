//! Evidence bundles of what a page holds.

use peerstream_node::Evidence;
use peerstream_recording::StreamMeta;
use peerstream_recording::bundle::{Encoder, Head};

/// The bundle of what a node holds; nothing when it holds nothing, or too much for one.
pub fn bundle(evidence: &Evidence) -> Option<Vec<u8>> {
    if evidence.segments.is_empty() {
        return None;
    }
    let meta = StreamMeta::of(&evidence.cert, evidence.kind, None);
    let (mut encoder, mut bytes) = Encoder::begin(&Head { meta, manifest: None }).ok()?;
    for (id, init) in &evidence.inits {
        bytes.extend(encoder.init(*id, init).ok()?);
    }
    for (header, payload) in &evidence.segments {
        bytes.extend(encoder.segment(header, Some(payload)).ok()?);
    }
    bytes.extend(encoder.end().0);
    Some(bytes)
}
