//! A node's orders as records of a fixed size.
//!
//! In linear memory a record is [`RECORD_BYTES`] long, little endian:
//!
//! | offset | type | field |
//! |---|---|---|
//! | 0 | u32 | kind |
//! | 4 | u32 | a |
//! | 8 | u32 | b |
//! | 12 | u32 | where its bytes begin |
//! | 16 | u32 | how many bytes |
//! | 20 | u32 | zero |
//! | 24 | f64 | value |

use peerstream_node::{Output, Payload, Side};
use peerstream_protocol::control::Reason;
use peerstream_protocol::frame::Lane;
use peerstream_protocol::id::Seq;
use peerstream_protocol::segment::Kind as Carries;

/// The size of a record in linear memory.
pub const RECORD_BYTES: usize = 32;

/// What a record orders. `a`, `b`, bytes and `value` are zero or empty unless said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Kind {
    /// Open a control connection to endpoint `a`.
    OpenControl = 1,
    /// End the control connection.
    CloseControl = 2,
    /// Send the bytes to the coordinator.
    Control = 3,
    /// Start link `a`; `b` is 0 to offer and 1 to answer, `value` the peer's number, the bytes ICE urls, one a line.
    Open = 4,
    /// The bytes are a set-up message of the other side of link `a`.
    Signal = 5,
    /// Close link `a`.
    Close = 6,
    /// Send the bytes on link `a`, lane `b`: 0 control, 1 pieces.
    Send = 7,
    /// A new epoch begins; `a` is 0 for media and 1 for data.
    Begin = 8,
    /// The init: the first `a` bytes are its type, the next `b` what is being played, the others its codec header.
    Init = 9,
    /// The bytes are segment `value`.
    Deliver = 10,
    /// `a` segments from `value` on are given up.
    Skip = 11,
    /// Play at `a` thousandths.
    Rate = 12,
    /// Set the play head to `value` microseconds.
    Seek = 13,
    /// The epoch has ended.
    Ended = 14,
    /// The coordinator turned the node away; the bytes say why.
    Refused = 15,
    /// Another publisher's key was offered: the bytes, in hexadecimal.
    WrongPublisher = 16,
    /// Tick at `value` microseconds; replaces the earlier order.
    SetTimer = 17,
    /// Have the host send the stream over HTTP; from segment `value` on when `a` is 1.
    Fetch = 18,
    /// It need not send any more.
    EndFetch = 19,
    /// What is delivered next does not go on where the last delivery ended.
    Turn = 20,
    /// Have the host send `a` segments from `value` on over HTTP.
    FetchPast = 21,
    /// It need not send them.
    EndFetchPast = 22,
}

/// Where the bytes of a record are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// It has none.
    Nowhere,
    /// The node lends a piece frame.
    Piece {
        /// The segment.
        seq: Seq,
        /// Which piece.
        index: u8,
    },
    /// In the session's own store.
    Held {
        /// The first byte.
        start: usize,
        /// The one after the last.
        end: usize,
    },
}

/// One order; see [`Kind`] for the meaning of its fields.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Record {
    /// What is ordered.
    pub kind: Kind,
    /// First operand.
    pub a: u32,
    /// Second operand.
    pub b: u32,
    /// Its bytes.
    pub place: Place,
    /// A sequence number, a time or a position; exact below 2^53.
    pub value: f64,
}

impl Record {
    /// A record of this kind with nothing else.
    pub const fn new(kind: Kind) -> Self {
        Self { kind, a: 0, b: 0, place: Place::Nowhere, value: 0.0 }
    }

    const fn with(mut self, a: u32, b: u32) -> Self {
        self.a = a;
        self.b = b;
        self
    }

    const fn at(mut self, place: Place) -> Self {
        self.place = place;
        self
    }

    const fn value(mut self, value: u64) -> Self {
        self.value = value as f64;
        self
    }
}

/// What [`record`] cannot read from the order itself.
pub trait Source {
    /// The type and codec header in force, if there is one.
    fn init(&self) -> Option<(&str, &str, &[u8])>;
    /// ICE servers, one a line.
    fn ice(&self) -> String;
    /// Appends a segment as it is to be played; false when it is gone.
    fn payload(&self, seq: Seq, out: &mut Vec<u8>) -> bool;
}

/// Turns an order into a record, putting its bytes into `held`. Nothing is left of an order whose segment is gone.
pub fn record(output: Output, source: &impl Source, held: &mut Vec<u8>) -> Option<Record> {
    let mut hold = |bytes: &[u8]| hold(held, bytes);
    Some(match output {
        Output::OpenControl(endpoint) => Record::new(Kind::OpenControl).with(narrow(endpoint as u64), 0),
        Output::CloseControl => Record::new(Kind::CloseControl),
        Output::Control(bytes) => Record::new(Kind::Control).at(hold(&bytes)),
        Output::Open(link, peer, side) => {
            let number = peer.0 & 0xffff_ffff;
            Record::new(Kind::Open).with(link.0, side_code(side)).value(number).at(hold(source.ice().as_bytes()))
        }
        Output::Signal(link, bytes) => Record::new(Kind::Signal).with(link.0, 0).at(hold(&bytes)),
        Output::Close(link) => Record::new(Kind::Close).with(link.0, 0),
        Output::Send(link, lane, payload) => {
            let place = match payload {
                Payload::Piece { seq, index } => Place::Piece { seq, index },
                Payload::Bytes(bytes) => hold(&bytes),
            };
            Record::new(Kind::Send).with(link.0, lane_code(lane)).at(place)
        }
        Output::Begin(carries) => Record::new(Kind::Begin).with(u32::from(carries == Carries::Data), 0),
        Output::Init => {
            let (mime, title, bytes) = source.init()?;
            let held = hold(&[mime.as_bytes(), title.as_bytes(), bytes].concat());
            Record::new(Kind::Init).with(narrow(mime.len() as u64), narrow(title.len() as u64)).at(held)
        }
        Output::Deliver(seq) => Record::new(Kind::Deliver).value(seq.0).at(hold_payload(source, seq, held)?),
        Output::Skip(from, to) => Record::new(Kind::Skip).with(narrow(to.0.saturating_sub(from.0)), 0).value(from.0),
        Output::Rate(thousandths) => Record::new(Kind::Rate).with(thousandths.into(), 0),
        Output::Seek(position_us) => Record::new(Kind::Seek).value(position_us),
        Output::Fetch(from) => {
            Record::new(Kind::Fetch).with(from.is_some().into(), 0).value(from.map_or(0, |seq| seq.0))
        }
        Output::EndFetch => Record::new(Kind::EndFetch),
        Output::Turn => Record::new(Kind::Turn),
        Output::FetchPast(from, count) => Record::new(Kind::FetchPast).with(count, 0).value(from.0),
        Output::EndFetchPast => Record::new(Kind::EndFetchPast),
        Output::Ended => Record::new(Kind::Ended),
        Output::Refused(reason) => Record::new(Kind::Refused).at(hold(reason_name(reason).as_bytes())),
        Output::WrongPublisher(key) => Record::new(Kind::WrongPublisher).at(hold(key.to_string().as_bytes())),
        Output::SetTimer(at) => Record::new(Kind::SetTimer).value(at.0),
    })
}

/// The lane with this number.
pub const fn lane(code: u32) -> Option<Lane> {
    match code {
        0 => Some(Lane::Control),
        1 => Some(Lane::Pieces),
        _ => None,
    }
}

fn hold(held: &mut Vec<u8>, bytes: &[u8]) -> Place {
    let start = held.len();
    held.extend_from_slice(bytes);
    Place::Held { start, end: held.len() }
}

fn hold_payload(source: &impl Source, seq: Seq, held: &mut Vec<u8>) -> Option<Place> {
    let start = held.len();
    if source.payload(seq, held) {
        return Some(Place::Held { start, end: held.len() });
    }
    held.truncate(start);
    None
}

const fn side_code(side: Side) -> u32 {
    match side {
        Side::Offer => 0,
        Side::Answer => 1,
    }
}

const fn lane_code(lane: Lane) -> u32 {
    match lane {
        Lane::Control => 0,
        Lane::Pieces => 1,
    }
}

const fn reason_name(reason: Reason) -> &'static str {
    match reason {
        Reason::WireVersion => "wire-version",
        Reason::UnknownStream => "unknown-stream",
        Reason::Full => "full",
        Reason::TooManyJoins => "too-many-joins",
        Reason::Misbehaved => "misbehaved",
        Reason::TakenForDead => "taken-for-dead",
        Reason::NoLowerRendition => "no-lower-rendition",
    }
}

fn narrow(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use peerstream_node::LinkId;
    use peerstream_protocol::id::NodeId;

    use super::*;

    struct Lends;

    impl Source for Lends {
        fn init(&self) -> Option<(&str, &str, &[u8])> {
            Some(("video/mp4", "a song", b"ftyp"))
        }
        fn ice(&self) -> String {
            "stun:a\nstun:b".into()
        }
        fn payload(&self, seq: Seq, out: &mut Vec<u8>) -> bool {
            out.extend_from_slice(b"segment");
            seq == Seq(5)
        }
    }

    fn bytes<'a>(record: &Record, held: &'a [u8]) -> &'a [u8] {
        let Place::Held { start, end } = record.place else { panic!("{record:?} has no bytes") };
        &held[start..end]
    }

    #[test]
    fn an_init_carries_its_type_its_title_and_its_header() {
        let mut held = b"before".to_vec();
        let init = record(Output::Init, &Lends, &mut held).unwrap();
        assert_eq!((init.kind, init.a, init.b), (Kind::Init, 9, 6));
        assert_eq!(bytes(&init, &held), b"video/mp4a songftyp");
    }

    #[test]
    fn an_open_names_link_side_peer_and_servers() {
        let mut held = Vec::new();
        let peer = NodeId((3 << 32) | 12);
        let open = record(Output::Open(LinkId(4), peer, Side::Answer), &Lends, &mut held).unwrap();
        assert_eq!((open.a, open.b, open.value), (4, 1, 12.0));
        assert_eq!(bytes(&open, &held), b"stun:a\nstun:b");
    }

    #[test]
    fn a_delivery_whose_segment_is_gone_leaves_nothing() {
        let mut held = Vec::new();
        let there = record(Output::Deliver(Seq(5)), &Lends, &mut held).unwrap();
        assert_eq!((there.value, bytes(&there, &held)), (5.0, &b"segment"[..]));
        assert!(record(Output::Deliver(Seq(6)), &Lends, &mut held).is_none());
        assert_eq!(held, b"segment");
    }

    #[test]
    fn a_piece_is_lent_and_not_copied() {
        let mut held = Vec::new();
        let piece = Payload::Piece { seq: Seq(1), index: 2 };
        let send = record(Output::Send(LinkId(9), Lane::Pieces, piece), &Lends, &mut held).unwrap();
        assert_eq!((send.a, send.b, send.place), (9, 1, Place::Piece { seq: Seq(1), index: 2 }));
        assert!(held.is_empty());
    }
}
