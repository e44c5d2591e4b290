//! Evidence bundles of what a page holds.
//!
//! The layout is that of `peerstream-recording`, whose own writer would make the module half as large again: it is written here by
//! hand, and a test reads it there.

use peerstream_node::Evidence;
use peerstream_protocol::crypto::hash;
use peerstream_protocol::segment::Kind;

const BEGIN: &[u8; 9] = b"PSbundle\x01";
const HEAD: u8 = 1;
const INIT: u8 = 2;
const SEGMENT: u8 = 3;
const END: u8 = 5;

/// A larger one is not made, in bytes; it would be more than a node keeps.
pub const BUNDLE_BYTES_MAX: usize = 1 << 30;

/// The bundle of what a node holds; nothing when it holds nothing, or too much.
pub fn bundle(evidence: &Evidence) -> Option<Vec<u8>> {
    let payloads: usize = evidence.segments.iter().map(|(header, payload)| header.len() + payload.len()).sum();
    if evidence.segments.is_empty() || payloads > BUNDLE_BYTES_MAX {
        return None;
    }
    let mut out = Vec::with_capacity(payloads + payloads / 16);
    out.extend(BEGIN);
    put(&mut out, HEAD, &[head(evidence).as_bytes()]);
    for (id, init) in &evidence.inits {
        put(&mut out, INIT, &[&id.0, init]);
    }
    for (header, payload) in &evidence.segments {
        put(&mut out, SEGMENT, &[&(header.len() as u32).to_le_bytes(), &[0], header, payload]);
    }
    let records = 1 + evidence.inits.len() as u64 + evidence.segments.len() as u64;
    let all = hash(&out);
    put(&mut out, END, &[&records.to_le_bytes(), &all]);
    Some(out)
}

fn put(out: &mut Vec<u8>, tag: u8, parts: &[&[u8]]) {
    let len: usize = parts.iter().map(|part| part.len()).sum();
    out.push(tag);
    // A segment is bounded far below that.
    out.extend((len as u32).to_le_bytes());
    parts.iter().for_each(|part| out.extend_from_slice(part));
}

/// Which broadcast it is of, as JSON: digits and letters, which need no escapes.
fn head(evidence: &Evidence) -> String {
    let cert = evidence.cert.encode().iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
    let kind = match evidence.kind {
        Kind::Media => "Media",
        Kind::Data => "Data",
    };
    let (stream, epoch) = (evidence.cert.publisher, evidence.cert.epoch.0);
    format!(r#"{{"meta":{{"stream":"{stream}","epoch":{epoch},"kind":"{kind}","cert":"{cert}"}}}}"#)
}

#[cfg(test)]
mod tests {
    use peerstream_protocol::cert::EpochCert;
    use peerstream_protocol::crypto::SecretKey;
    use peerstream_protocol::header::{Context, Core, Flags, Header};
    use peerstream_protocol::id::{Epoch, Rendition, Seq};
    use peerstream_protocol::segment::{Init, InitId, PieceSize};
    use peerstream_recording::bundle::Inspection;

    use super::*;

    fn evidence() -> Evidence {
        let (publisher, key) = (SecretKey::from_seed(&[1; 32]), SecretKey::from_seed(&[2; 32]));
        let cert = EpochCert::issue(&publisher, Epoch(1_700_000_000_000), key.public(), u64::MAX);
        let context = Context { stream: cert.publisher, epoch: cert.epoch, rendition: Rendition(0) };
        let encoded = Init { mime: "video/mp4".into(), title: String::new(), bytes: vec![7; 90] }.encode();
        let (id, mut prev) = (InitId::of(&encoded), [9; 32]);
        let segments = (40..44_u64).map(|seq| {
            let payload = vec![seq as u8; 9_000];
            let core = Core {
                seq: Seq(seq),
                kind: Kind::Media,
                flags: Flags::default(),
                pts_us: seq * 200_000,
                duration_us: 200_000,
                wall_us: 1_700_000_000_000_000 + seq * 200_000,
                init: id,
                payload_len: payload.len() as u32,
                piece_size: PieceSize::Kib4,
                prev,
            };
            let hashes = payload.chunks(PieceSize::Kib4.bytes()).map(hash).collect();
            let (header, chain) = Header::sign(&key, &context, core, hashes);
            prev = chain;
            (header.encode(), payload)
        });
        let segments = segments.collect();
        Evidence { cert, kind: Kind::Media, inits: vec![(id, encoded)], segments }
    }

    #[test]
    fn a_bundle_of_a_page_verifies_and_a_changed_one_does_not() {
        let bytes = bundle(&evidence()).unwrap();
        let mut inspection = Inspection::default();
        inspection.push(&bytes).unwrap();
        let verdict = inspection.finish().unwrap();
        assert!(verdict.intact && verdict.unproven.is_none(), "{verdict:?}");
        assert!(verdict.report.findings.is_empty(), "{verdict:?}");
        let mut changed = bytes.clone();
        let at = changed.len() - 5_000;
        changed[at] ^= 1;
        let mut inspection = Inspection::default();
        inspection.push(&changed).unwrap();
        let verdict = inspection.finish().unwrap();
        assert!(!verdict.intact && !verdict.report.findings.is_empty(), "{verdict:?}");
    }

    #[test]
    fn nothing_makes_no_bundle() {
        let nothing = Evidence { segments: Vec::new(), ..evidence() };
        assert_eq!(bundle(&nothing), None);
    }
}
