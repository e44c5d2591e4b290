//! The wire: what is written is read back, what is altered is found out, and no bytes make a decoder panic.

use peerstream_protocol::DecodeError;
use peerstream_protocol::bitmap::Bitmap;
use peerstream_protocol::cert::EpochCert;
use peerstream_protocol::control::{
    Assignment, BUT_MAX, CONTROL_BYTES_MAX, Down, Edge, Kept, LINKS_MAX, LinkReport, Report, Up, When,
};
use peerstream_protocol::crypto::{PublicKey, SecretKey, Strict, hash};
use peerstream_protocol::frame::{
    FRAME_BYTES_MAX, Frame, PARTIALS_MAX, PAST_SEGMENTS_MAX, Partial, PeerMessage, Resume, TRAIN_PADDING_MAX, Want,
    decode_header, encode_header,
};
use peerstream_protocol::header::{Context, Core, Flags, Header, Signed};
use peerstream_protocol::id::{Epoch, NodeId, Rendition, Seq, Stripes, Term};
use peerstream_protocol::segment::{InitId, Kind, PieceSize};
use peerstream_protocol::withheld::Withheld;
use proptest::prelude::*;

fn context() -> Context {
    let publisher = SecretKey::from_seed(&[1; 32]).public();
    Context { stream: publisher, epoch: Epoch(5), rendition: Rendition(0) }
}

fn key() -> SecretKey {
    SecretKey::from_seed(&[2; 32])
}

prop_compose! {
    fn header()(
        seq in any::<u32>(), pts_us: u64, duration_us: u32, wall_us: u64, init: [u8; 16], prev: [u8; 32],
        flags in 0..16_u8, size in 0..3_u8, payload in proptest::collection::vec(any::<u8>(), 0..70_000),
    ) -> Header {
        let piece_size = PieceSize::from_code(size).unwrap();
        let core = Core {
            seq: Seq(u64::from(seq)), kind: Kind::Media, flags: Flags(flags), pts_us, duration_us, wall_us,
            init: InitId(init), payload_len: payload.len() as u32, piece_size, prev,
        };
        let hashes = payload.chunks(piece_size.bytes()).map(hash).collect();
        Header::sign(&key(), &context(), core, hashes).0
    }
}

/// The inside of an encoded header frame.
fn inner(bytes: &[u8]) -> &[u8] {
    match Frame::decode(bytes) {
        Ok(Frame::Header(inner)) => inner,
        other => panic!("expected a header, found {other:?}"),
    }
}

proptest! {
    #[test]
    fn a_header_is_read_back(header in header()) {
        let encoded = encode_header(&header);
        let decoded = decode_header(inner(&encoded)).unwrap();
        prop_assert_eq!(&decoded, &header);
        prop_assert!(decoded.verify(&key().public(), &context(), &mut Strict::default()).is_some());
    }

    #[test]
    fn an_altered_header_is_found_out(header in header(), at: prop::sample::Index, bit in 0..8_u8) {
        let mut encoded = encode_header(&header);
        let at = 1 + at.index(encoded.len() - 1);
        encoded[at] ^= 1 << bit;
        if let Ok(altered) = decode_header(inner(&encoded)) {
            prop_assert!(altered.verify(&key().public(), &context(), &mut Strict::default()).is_none());
        }
    }

    #[test]
    fn a_header_of_another_broadcast_is_found_out(header in header(), epoch in 6..u64::MAX) {
        let other = Context { epoch: Epoch(epoch), ..context() };
        prop_assert!(header.verify(&key().public(), &other, &mut Strict::default()).is_none());
    }

    #[test]
    fn no_bytes_make_a_decoder_panic(bytes in proptest::collection::vec(any::<u8>(), 0..2_000)) {
        peerstream_protocol::frame::fuzz_decode(&bytes);
        peerstream_protocol::control::fuzz_decode(&bytes);
        peerstream_protocol::segment::fuzz_decode(&bytes);
        let tagged = |tag: u8| [&[tag], &bytes[..]].concat();
        (0..4).for_each(|tag| peerstream_protocol::frame::fuzz_decode(&tagged(tag)));
        (0..2).for_each(|tag| peerstream_protocol::control::fuzz_decode(&tagged(tag)));
    }

    #[test]
    fn a_bitmap_is_a_set(pieces in proptest::collection::btree_set(any::<u8>(), 0..256), done in proptest::collection::btree_set(any::<u8>(), 0..256)) {
        let of = |set: &std::collections::BTreeSet<u8>| set.iter().fold(Bitmap::default(), |mut map, piece| {
            map.insert(*piece);
            map
        });
        let (have, sent) = (of(&pieces), of(&done));
        prop_assert_eq!(have.len(), pieces.len());
        prop_assert_eq!(have.first_not_in(&sent), pieces.difference(&done).next().copied());
    }
}

#[test]
fn a_header_costs_no_more_than_its_facts_its_hashes_and_its_signature() {
    let core = Core {
        seq: Seq(9),
        kind: Kind::Media,
        flags: Flags::default(),
        pts_us: 900_000,
        duration_us: 100_000,
        wall_us: 1_700_000_000_000_000,
        init: InitId([4; 16]),
        payload_len: 12_500,
        piece_size: PieceSize::Kib4,
        prev: [3; 32],
    };
    let (header, _) = Header::sign(&key(), &context(), core, vec![[0; 32]; 4]);
    assert_eq!(encode_header(&header).len(), 1 + 34 + 16 + 32 + 64 + 4 * 32);
}

#[test]
fn the_chain_ties_each_header_to_the_one_before() {
    let core = Core {
        seq: Seq(0),
        kind: Kind::Data,
        flags: Flags::default(),
        pts_us: 0,
        duration_us: 0,
        wall_us: 0,
        init: InitId::NONE,
        payload_len: 0,
        piece_size: PieceSize::Kib4,
        prev: [0; 32],
    };
    let (first, chain) = Header::sign(&key(), &context(), core, Vec::new());
    assert_eq!(first.verify(&key().public(), &context(), &mut Strict::default()), Some(chain));
    assert_eq!(Signed::new(&context(), &core, &[], &mut Strict::default()).hash(&mut Strict::default()), chain);
    let other = Core { wall_us: 1, ..core };
    assert_ne!(Signed::new(&context(), &other, &[], &mut Strict::default()).hash(&mut Strict::default()), chain);
}

#[test]
fn messages_are_read_back() {
    let want = Want {
        stripes: Stripes::ALL,
        from: Resume::Seq(Seq(7)),
        until: Some(Seq(9)),
        have: vec![Partial { seq: Seq(7), have: Bitmap::first(3) }],
    };
    let messages = [
        PeerMessage::Want(want),
        PeerMessage::Init(vec![1, 2, 3]),
        PeerMessage::Gap { from: Seq(1), to: Seq(3) },
        PeerMessage::Progress(Stripes::ALL, Seq(1 << 40)),
        PeerMessage::Train { nonce: 1, left: 7, padding: vec![0; TRAIN_PADDING_MAX] },
        PeerMessage::Dispersion { nonce: 1, micros: 12_000 },
        PeerMessage::Past { from: Seq(5), until: Seq(5 + PAST_SEGMENTS_MAX) },
        PeerMessage::NotKept { from: Seq(5), until: Seq(1 << 40) },
    ];
    for message in messages {
        assert_eq!(Frame::decode(&message.encode()), Ok(Frame::Message(message)));
    }
    let assignment = Assignment {
        term: Term(3),
        version: 9,
        parents: vec![Edge::now(NodeId(4))],
        children: vec![Edge { peer: NodeId(5), stripes: Stripes::ALL, when: When::ReleasedBy(NodeId(6)) }],
        backup: Some(Edge::now(NodeId(7))),
        ..Assignment::default()
    };
    let down = Down::Assign(assignment);
    assert_eq!(Down::decode(&down.encode()), Ok(down));
    let mut withheld = Withheld::default();
    withheld.withhold(Seq(3), Seq(1 << 30)).unwrap();
    let keeper = [Some(NodeId(4)), None].map(Down::Keeper);
    for down in [Down::Withheld(withheld), Down::Guest(NodeId(5))].into_iter().chain(keeper) {
        assert_eq!(Down::decode(&down.encode()), Ok(down));
    }
    let kept = Kept { from: Seq(1 << 30), fetched: Some((Seq(5), Seq(9))), room: 3 };
    let report = Report { kept: Some(kept), ..Report::default() };
    for up in [Up::Report(report), Up::Past { from: Seq(7), but: vec![NodeId(4); BUT_MAX] }] {
        assert_eq!(Up::decode(&up.encode()), Ok(up));
    }
}

#[test]
fn what_is_beyond_its_bound_is_refused() {
    let partial = Partial { seq: Seq(0), have: Bitmap::default() };
    let want =
        Want { stripes: Stripes::ALL, from: Resume::JoinPoint, until: None, have: vec![partial; PARTIALS_MAX + 1] };
    assert_eq!(Frame::decode(&PeerMessage::Want(want).encode()), Err(DecodeError::TooLarge));
    let train = PeerMessage::Train { nonce: 1, left: 0, padding: vec![0; TRAIN_PADDING_MAX + 1] };
    assert_eq!(Frame::decode(&train.encode()), Err(DecodeError::TooLarge));
    let past = PeerMessage::Past { from: Seq(5), until: Seq(6 + PAST_SEGMENTS_MAX) };
    assert_eq!(Frame::decode(&past.encode()), Err(DecodeError::TooLarge));
    let asks = Up::Past { from: Seq(5), but: vec![NodeId(1); BUT_MAX + 1] };
    assert_eq!(Up::decode(&asks.encode()), Err(DecodeError::TooLarge));
    assert_eq!(Frame::decode(&vec![1; FRAME_BYTES_MAX + 1]), Err(DecodeError::TooLarge));
    let link = LinkReport { peer: NodeId(1), open: true, feeds_me: Stripes::NONE, fed_by_me: Stripes::ALL, rtt_ms: 0 };
    let report = Report { links: vec![link; LINKS_MAX + 1], ..Report::default() };
    assert_eq!(Up::decode(&Up::Report(report).encode()), Err(DecodeError::TooLarge));
    assert_eq!(Up::decode(&vec![0; CONTROL_BYTES_MAX + 1]), Err(DecodeError::TooLarge));
    assert_eq!(Up::decode(&[1, 2, 3]), Err(DecodeError::Sealed));
}

#[test]
fn bytes_left_over_are_malformed() {
    let mut bytes = Up::Starving.encode();
    bytes.push(0);
    assert_eq!(Up::decode(&bytes), Err(DecodeError::Malformed));
}

#[test]
fn a_certificate_binds_key_epoch_and_expiry() {
    let publisher = SecretKey::from_seed(&[1; 32]);
    let cert = EpochCert::issue(&publisher, Epoch(5), key().public(), 99);
    assert!(cert.is_genuine(&mut Strict::default()));
    let altered = [
        EpochCert { epoch: Epoch(6), ..cert.clone() },
        EpochCert { key: publisher.public(), ..cert.clone() },
        EpochCert { expiry_s: 100, ..cert.clone() },
        EpochCert { publisher: key().public(), ..cert },
    ];
    assert!(altered.iter().all(|cert| !cert.is_genuine(&mut Strict::default())));
}

#[test]
fn a_public_key_is_written_in_hexadecimal() {
    let key = key().public();
    assert_eq!(PublicKey::from_hex(&key.to_string()), Some(key));
    assert_eq!(PublicKey::from_hex("xyz"), None);
}
