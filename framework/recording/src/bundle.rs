//! The evidence bundle: a part of a recording in one file, with all that it takes to verify it offline.
//!
//! A bundle begins with eight letters and a version. Records follow, each of a tag, the length of its body in four bytes, lowest first, and the
//! body:
//!
//! | tag | body |
//! |---|---|
//! | 1 | [`Head`] as JSON; the first record, once |
//! | 2 | an init: its id, 16 bytes; then as it travels |
//! | 3 | a segment: the length of its header, 4 bytes; 1 if its payload is withheld, else 0; its header and its payload as they travel |
//! | 4 | an attachment: the length of its name, one byte; its BLAKE3 hash, 32 bytes; its name; its content |
//! | 5 | the end: how many records were before, 8 bytes; the BLAKE3 hash of all bytes before this record, 32 bytes |
//!
//! Segments prove themselves by the publisher's signatures. Attachments do not: their hashes, and the one at the end, name what was changed by
//! accident or by hand, and whoever wants to prove more signs [`Encoder::end`]'s hash, which stands for the whole bundle.

mod decode;
mod encode;
mod inspect;

use peerstream_protocol::segment::{INIT_BYTES_MAX, MIME_BYTES_MAX, PAYLOAD_BYTES_MAX, TITLE_BYTES_MAX};
use serde::{Deserialize, Serialize};

use crate::{Manifest, StreamMeta};

pub use decode::{BundleError, Decoder, Record};
pub use encode::{Encoder, TooLarge};
pub use inspect::{Attachment, Inspection, Verdict};

/// What a bundle begins with.
pub const MAGIC: [u8; 8] = *b"PSbundle";
/// The version of this layout.
pub const VERSION: u8 = 1;
/// The largest [`Head`] as JSON, in bytes.
pub const HEAD_BYTES_MAX: usize = 256 * 1024;
/// The largest attachment, in bytes.
pub const ATTACHMENT_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Attachments of one bundle, at most.
pub const ATTACHMENTS_MAX: usize = 64;
/// The longest name of an attachment, in bytes.
pub const NAME_BYTES_MAX: usize = 128;

/// The largest body of a segment: its header holds 256 hashes at most.
const SEGMENT_BYTES_MAX: usize = 5 + 16 * 1024 + PAYLOAD_BYTES_MAX;
/// The largest body of an init.
const INIT_RECORD_BYTES_MAX: usize = 16 + INIT_BYTES_MAX + MIME_BYTES_MAX + TITLE_BYTES_MAX + 16;

const HEAD: u8 = 1;
const INIT: u8 = 2;
const SEGMENT: u8 = 3;
const ATTACHMENT: u8 = 4;
const END: u8 = 5;

/// Bytes of a record before its body.
const TAG_BYTES: usize = 1 + 4;
/// Bytes of the body of the last record.
const END_BYTES: usize = 8 + 32;

/// What a bundle is of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Head {
    /// The broadcast, with the publisher's certificate.
    pub meta: StreamMeta,
    /// What whoever made the bundle says that it holds, with the gaps that were there already.
    #[serde(default)]
    pub manifest: Option<Manifest>,
}

/// The largest body of a record with this tag; nothing for a tag that does not exist.
fn body_bytes_max(tag: u8) -> Option<usize> {
    match tag {
        HEAD => Some(HEAD_BYTES_MAX),
        INIT => Some(INIT_RECORD_BYTES_MAX),
        SEGMENT => Some(SEGMENT_BYTES_MAX),
        ATTACHMENT => Some(1 + 32 + NAME_BYTES_MAX + ATTACHMENT_BYTES_MAX),
        END => Some(END_BYTES),
        _ => None,
    }
}

/// Whether an attachment can be called so: one plain name, without folders.
fn is_name(name: &str) -> bool {
    let plain = |char: char| char.is_ascii_alphanumeric() || matches!(char, '-' | '_' | '.');
    !name.is_empty() && name.len() <= NAME_BYTES_MAX && !name.starts_with('.') && name.chars().all(plain)
}
