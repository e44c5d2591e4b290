//! The words nodes and coordinators exchange, and how they look as bytes.
//!
//! Pure: no I/O, no clock, no randomness. Every decoder is bounded, returns an error instead of panicking, and has a
//! fuzz body beside it. The wire is specified in `docs/wire.md`.
//!
//! ```
//! use peerstream_protocol::frame::{Frame, PeerMessage};
//!
//! let bytes = Frame::Message(PeerMessage::Ping { nonce: 7 }).encode();
//! assert_eq!(Frame::decode(&bytes).unwrap(), Frame::Message(PeerMessage::Ping { nonce: 7 }));
//! ```

mod assignment;
pub mod bitmap;
pub mod cert;
pub mod control;
pub mod crypto;
pub mod frame;
pub mod header;
pub mod id;
mod packing;
pub mod segment;
pub mod signal;
pub mod time;
pub mod withheld;

/// The wire version; both ends of a control connection must speak the same.
pub const WIRE_VERSION: u16 = 1;

/// Why bytes from elsewhere were not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The message ends early, has bytes left over, or a field has an impossible value.
    #[error("malformed message")]
    Malformed,
    /// The message or a part of it is larger than its bound.
    #[error("message exceeds its bound")]
    TooLarge,
    /// A sealed envelope, which this version cannot open.
    #[error("sealed envelopes are not supported by this version")]
    Sealed,
}

/// Decodes a whole postcard message; bytes left over are an error.
fn from_postcard<'a, T: serde::Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, DecodeError> {
    match postcard::take_from_bytes(bytes) {
        Ok((value, [])) => Ok(value),
        _ => Err(DecodeError::Malformed),
    }
}

/// Most messages are no larger, in bytes.
const ENCODED_USUALLY: usize = 128;

/// Encodes a message of ours; our own types always encode.
fn to_postcard<T: serde::Serialize>(prefix: u8, value: &T) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(ENCODED_USUALLY);
    bytes.push(prefix);
    postcard::to_extend(value, bytes).expect("our own messages encode")
}
