//! The signed unit and its pieces.

use serde::{Deserialize, Serialize};

use crate::bitmap::PIECES_MAX;
use crate::crypto::{Hash, hash};

/// What a stream carries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Kind {
    /// Fragmented MP4 with an init.
    #[default]
    Media,
    /// Any bytes.
    Data,
}

/// The size of all pieces of a segment but the last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum PieceSize {
    /// 4 KiB.
    #[default]
    Kib4,
    /// 8 KiB.
    Kib8,
    /// 16 KiB.
    Kib16,
    /// 64 bytes that stand for a piece of a simulated stream. Only nodes whose [`Verifier`] says that it is a
    /// simulation take such segments.
    ///
    /// [`Verifier`]: crate::crypto::Verifier
    Scaled,
}

/// A mean segment has at most this many pieces.
const PIECES_MEAN_MAX: usize = 16;

impl PieceSize {
    /// The size in bytes.
    pub const fn bytes(self) -> usize {
        match self {
            Self::Kib4 => 4 * 1024,
            Self::Kib8 => 8 * 1024,
            Self::Kib16 => 16 * 1024,
            Self::Scaled => 64,
        }
    }

    /// The smallest size that keeps a mean segment of `bytes` within 16 pieces. One that fits into a single piece of 8 KiB is one:
    /// half a second of sound, of which a second hash would be a good part.
    pub fn for_mean_segment(bytes: usize) -> Self {
        if bytes > Self::Kib4.bytes() && bytes <= Self::Kib8.bytes() {
            return Self::Kib8;
        }
        [Self::Kib4, Self::Kib8].into_iter().find(|size| bytes <= size.bytes() * PIECES_MEAN_MAX).unwrap_or(Self::Kib16)
    }

    /// The size with this code on the wire.
    pub const fn from_code(code: u8) -> Option<Self> {
        match code {
            0 => Some(Self::Kib4),
            1 => Some(Self::Kib8),
            2 => Some(Self::Kib16),
            3 => Some(Self::Scaled),
            _ => None,
        }
    }

    /// How many pieces a payload of `len` bytes has.
    pub const fn count(self, len: usize) -> usize {
        len.div_ceil(self.bytes())
    }
}

/// The largest payload of a segment, in bytes: 256 pieces of 16 KiB.
pub const PAYLOAD_BYTES_MAX: usize = PIECES_MAX * PieceSize::Kib16.bytes();
/// The largest init, in bytes.
pub const INIT_BYTES_MAX: usize = 48 * 1024;
/// The longest media type, in bytes.
pub const MIME_BYTES_MAX: usize = 255;
/// The longest title of what is being played, in bytes.
pub const TITLE_BYTES_MAX: usize = 255;

/// Names an init: the first 16 bytes of its BLAKE3 hash; zero for none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct InitId(pub [u8; 16]);

impl InitId {
    /// No init.
    pub const NONE: Self = Self([0; 16]);

    /// The id of an encoded [`Init`].
    pub fn of(encoded: &[u8]) -> Self {
        let hash: Hash = hash(encoded);
        Self(core::array::from_fn(|i| hash[i]))
    }
}

/// What a player needs before the first segment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Init {
    /// Such as `video/mp4; codecs="avc1.64001f,mp4a.40.2"`.
    pub mime: String,
    /// What is being played, such as the title of a track; may be empty. At most [`TITLE_BYTES_MAX`].
    pub title: String,
    /// The codec header.
    pub bytes: Vec<u8>,
}

impl Init {
    /// The bytes that travel and that [`InitId`] names.
    pub fn encode(&self) -> Vec<u8> {
        postcard::to_extend(self, Vec::new()).expect("our own messages encode")
    }

    /// Reads an init of at most [`INIT_BYTES_MAX`] bytes (plus its type and title).
    pub fn decode(bytes: &[u8]) -> Result<Self, crate::DecodeError> {
        if bytes.len() > INIT_BYTES_MAX + MIME_BYTES_MAX + TITLE_BYTES_MAX + 16 {
            return Err(crate::DecodeError::TooLarge);
        }
        let init: Self = crate::from_postcard(bytes)?;
        let control = init.mime.chars().chain(init.title.chars()).any(char::is_control);
        if control || init.mime.len() > MIME_BYTES_MAX || init.title.len() > TITLE_BYTES_MAX {
            return Err(crate::DecodeError::Malformed);
        }
        Ok(init)
    }
}

/// The body of the init fuzz target: codec headers and certificates of a publisher.
#[doc(hidden)]
pub fn fuzz_decode(data: &[u8]) {
    if let Ok(init) = Init::decode(data) {
        assert_eq!(Init::decode(&init.encode()).as_ref(), Ok(&init), "an accepted init survives a round trip");
    }
    if let Ok(cert) = crate::cert::EpochCert::decode(data) {
        assert_eq!(crate::cert::EpochCert::decode(&cert.encode()).as_ref(), Ok(&cert), "so does a certificate");
    }
}
