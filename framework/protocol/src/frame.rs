//! Frames between two nodes.
//!
//! Two lanes: the control lane keeps order and carries small messages; the pieces lane does not and carries the stream:
//! inits, headers, and pieces, each with a prefix of [`PIECE_PREFIX`] bytes. On one lane a header leaves before its pieces,
//! however a stack shares its line between lanes, so that the other end can check and pass on each piece as it comes.

use serde::{Deserialize, Serialize};

use crate::DecodeError;
use crate::bitmap::Bitmap;
use crate::header::{self, Header};
use crate::id::{Seq, Stripes};
use crate::segment::{INIT_BYTES_MAX, PieceSize};

/// The two lanes of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Lane {
    /// Ordered and reliable: wants, gaps, progress, pings.
    Control,
    /// Reliable without order: pieces, their headers, and inits.
    Pieces,
}

/// Bytes before the payload of a piece: tag, sequence, index.
pub const PIECE_PREFIX: usize = 10;
/// No frame is larger, in bytes.
pub const FRAME_BYTES_MAX: usize = INIT_BYTES_MAX + 1024;
/// A want names at most this many half-received segments.
pub const PARTIALS_MAX: usize = 8;
/// A packet of a train has at most this much padding, in bytes, so that it is one packet on the line as well.
pub const TRAIN_PADDING_MAX: usize = 1_100;
/// At most this many segments of the past are asked for at once.
pub const PAST_SEGMENTS_MAX: u64 = 16;

const TAG_PIECE: u8 = 1;
const TAG_HEADER: u8 = 2;
const TAG_MESSAGE: u8 = 3;

/// Where a node wants to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Resume {
    /// At the newest join point the other has.
    JoinPoint,
    /// At this segment.
    Seq(Seq),
}

/// The pieces a node already has of one segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Partial {
    /// The segment.
    pub seq: Seq,
    /// What is there.
    pub have: Bitmap,
}

/// Asks for segments: a feed when `until` is absent, a repair when it is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Want {
    /// The stripes wanted.
    pub stripes: Stripes,
    /// The first segment wanted.
    pub from: Resume,
    /// The first segment not wanted any more.
    pub until: Option<Seq>,
    /// Pieces not to send again, at most [`PARTIALS_MAX`] segments.
    pub have: Vec<Partial>,
}

/// Why a want is not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Refusal {
    /// The asker is not in this node's assignment.
    Stranger,
    /// All copies this node may send are in use.
    Full,
    /// This node gets its own copy from the asker.
    FedByYou,
}

/// Messages; all but [`PeerMessage::Init`] travel on the control lane.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PeerMessage {
    /// An encoded [`crate::segment::Init`], sent on the pieces lane before the first header that needs it.
    Init(Vec<u8>),
    /// Asks for segments.
    Want(Want),
    /// Ends what a want without end began.
    Unwant(Stripes),
    /// These stripes of a want are not, or no longer, sent.
    Refused(Stripes, Refusal),
    /// The sender does not have these segments and will not send them: `from` up to, not including, `to`.
    Gap {
        /// The first one.
        from: Seq,
        /// The first one after the gap.
        to: Seq,
    },
    /// The next segment of these stripes that the sender has neither received nor given up.
    Progress(Stripes, Seq),
    /// Asks for a pong.
    Ping {
        /// Comes back in the pong.
        nonce: u32,
    },
    /// Answers a ping.
    Pong {
        /// The ping's.
        nonce: u32,
    },
    /// One packet of a packet train, by which the sender measures its uplink. Carries nothing.
    Train {
        /// Which train.
        nonce: u32,
        /// Packets of it that follow over this link.
        left: u8,
        /// At most [`TRAIN_PADDING_MAX`] bytes of no meaning.
        padding: Vec<u8>,
    },
    /// Answers the last packet of a train: its dispersion at the receiver.
    Dispersion {
        /// The train's.
        nonce: u32,
        /// Microseconds from its first packet's arrival to its last one's.
        micros: u32,
    },
    /// Asks a keeper for whole segments of the past, at most [`PAST_SEGMENTS_MAX`]: `from` up to, not including, `until`. They
    /// come on the lane of pieces like those of a feed.
    Past {
        /// The first one.
        from: Seq,
        /// The first one not wanted.
        until: Seq,
    },
    /// These are not sent: they are not kept here, or there is no capacity to spare.
    NotKept {
        /// The first one.
        from: Seq,
        /// The first one after them.
        until: Seq,
    },
}

/// One frame, decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame<'a> {
    /// One piece of a segment.
    Piece {
        /// The segment.
        seq: Seq,
        /// Which piece.
        index: u8,
        /// Its bytes.
        bytes: &'a [u8],
    },
    /// A header still encoded; see [`decode_header`].
    Header(&'a [u8]),
    /// Anything else.
    Message(PeerMessage),
}

/// The bytes before a piece.
pub fn piece_prefix(seq: Seq, index: u8) -> [u8; PIECE_PREFIX] {
    let mut prefix = [TAG_PIECE; PIECE_PREFIX];
    prefix[1..9].copy_from_slice(&seq.0.to_le_bytes());
    prefix[9] = index;
    prefix
}

/// A header frame.
pub fn encode_header(header: &Header) -> Vec<u8> {
    let mut out = Vec::with_capacity(160 + header.hashes.len() * 32);
    out.push(TAG_HEADER);
    header::encode(header, &mut out);
    out
}

/// Decodes the inside of [`Frame::Header`]; the signature is not checked here.
pub fn decode_header(bytes: &[u8]) -> Result<Header, DecodeError> {
    header::decode(bytes)
}

impl<'a> Frame<'a> {
    /// Reads one frame.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        if bytes.len() > FRAME_BYTES_MAX {
            return Err(DecodeError::TooLarge);
        }
        match bytes.split_first() {
            Some((&TAG_PIECE, rest)) => decode_piece(rest),
            Some((&TAG_HEADER, rest)) => Ok(Self::Header(rest)),
            Some((&TAG_MESSAGE, rest)) => decode_message(rest).map(Self::Message),
            _ => Err(DecodeError::Malformed),
        }
    }

    /// Writes one frame; a header is written as it is.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Piece { seq, index, bytes } => [&piece_prefix(*seq, *index)[..], bytes].concat(),
            Self::Header(encoded) => [&[TAG_HEADER], *encoded].concat(),
            Self::Message(message) => message.encode(),
        }
    }
}

impl PeerMessage {
    /// The frame of this message.
    pub fn encode(&self) -> Vec<u8> {
        crate::to_postcard(TAG_MESSAGE, self)
    }
}

fn decode_piece(rest: &[u8]) -> Result<Frame<'_>, DecodeError> {
    let (seq, rest) = rest.split_first_chunk::<8>().ok_or(DecodeError::Malformed)?;
    let (&index, bytes) = rest.split_first().ok_or(DecodeError::Malformed)?;
    if bytes.is_empty() || bytes.len() > PieceSize::Kib16.bytes() {
        return Err(DecodeError::Malformed);
    }
    Ok(Frame::Piece { seq: Seq(u64::from_le_bytes(*seq)), index, bytes })
}

fn decode_message(rest: &[u8]) -> Result<PeerMessage, DecodeError> {
    let message = crate::from_postcard(rest)?;
    match &message {
        PeerMessage::Want(want) if want.have.len() > PARTIALS_MAX => Err(DecodeError::TooLarge),
        PeerMessage::Want(Want { stripes, .. })
        | PeerMessage::Unwant(stripes)
        | PeerMessage::Refused(stripes, _)
        | PeerMessage::Progress(stripes, _)
            if !stripes.is_some() =>
        {
            Err(DecodeError::Malformed)
        }
        PeerMessage::Gap { from, to } if from >= to => Err(DecodeError::Malformed),
        PeerMessage::Past { from, until } | PeerMessage::NotKept { from, until } if from >= until => {
            Err(DecodeError::Malformed)
        }
        PeerMessage::Past { from, until } if until.0 - from.0 > PAST_SEGMENTS_MAX => Err(DecodeError::TooLarge),
        PeerMessage::Train { padding, .. } if padding.len() > TRAIN_PADDING_MAX => Err(DecodeError::TooLarge),
        _ => Ok(message),
    }
}

/// The body of the frame fuzz target.
#[doc(hidden)]
pub fn fuzz_decode(data: &[u8]) {
    let Ok(frame) = Frame::decode(data) else { return };
    assert_eq!(Frame::decode(&frame.encode()).as_ref(), Ok(&frame), "an accepted frame survives a round trip");
    if let Frame::Header(inner) = frame
        && let Ok(header) = decode_header(inner)
    {
        assert_eq!(encode_header(&header)[1..], *inner, "there is one way to write a header");
    }
}
