//! Writes a bundle, a record at a time.

use peerstream_protocol::segment::InitId;

use super::{
    ATTACHMENT, ATTACHMENTS_MAX, END, HEAD, Head, INIT, MAGIC, NAME_BYTES_MAX, SEGMENT, TAG_BYTES, VERSION,
    body_bytes_max, is_name,
};

/// Writes a bundle. Each call gives the bytes that come next, so that a bundle of any length is made in the memory of one segment. All
/// inits go before the first segment that names them.
#[derive(Debug)]
pub struct Encoder {
    hasher: blake3::Hasher,
    records: u64,
    attachments: usize,
}

/// Something does not fit into a bundle.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TooLarge {
    /// A record is too large.
    #[error("{what} of {bytes} bytes, a bundle takes at most {max}")]
    Record {
        /// What it is.
        what: &'static str,
        /// The size of its record.
        bytes: usize,
        /// The bound.
        max: usize,
    },
    /// One attachment more than [`ATTACHMENTS_MAX`].
    #[error("a bundle takes at most {ATTACHMENTS_MAX} attachments")]
    Attachments,
    /// An attachment that cannot be called so.
    #[error(
        "`{0}` is no name of an attachment, expected at most {NAME_BYTES_MAX} letters, digits, dots, dashes and underscores"
    )]
    Name(String),
}

impl Encoder {
    /// Begins a bundle.
    pub fn begin(head: &Head) -> Result<(Self, Vec<u8>), TooLarge> {
        let mut encoder = Self { hasher: blake3::Hasher::new(), records: 0, attachments: 0 };
        let mut out = [&MAGIC[..], &[VERSION]].concat();
        encoder.hasher.update(&out);
        let json = serde_json::to_vec(head).expect("our own types are JSON");
        out.extend(encoder.record(HEAD, "a head", &[&json])?);
        Ok((encoder, out))
    }

    /// An init as it travels.
    pub fn init(&mut self, id: InitId, encoded: &[u8]) -> Result<Vec<u8>, TooLarge> {
        self.record(INIT, "an init", &[&id.0, encoded])
    }

    /// A segment: its header as it travels, and its payload, or none when that is withheld.
    pub fn segment(&mut self, header: &[u8], payload: Option<&[u8]>) -> Result<Vec<u8>, TooLarge> {
        let len = (header.len() as u32).to_le_bytes();
        let withheld = [u8::from(payload.is_none())];
        self.record(SEGMENT, "a segment", &[&len, &withheld, header, payload.unwrap_or_default()])
    }

    /// A file that goes with it, such as a statement.
    pub fn attachment(&mut self, name: &str, content: &[u8]) -> Result<Vec<u8>, TooLarge> {
        if !is_name(name) {
            return Err(TooLarge::Name(name.chars().take(NAME_BYTES_MAX).collect()));
        }
        if self.attachments == ATTACHMENTS_MAX {
            return Err(TooLarge::Attachments);
        }
        self.attachments += 1;
        let hash = blake3::hash(content);
        self.record(ATTACHMENT, "an attachment", &[&[name.len() as u8], hash.as_bytes(), name.as_bytes(), content])
    }

    /// The end, and the hash of the whole bundle before it.
    pub fn end(mut self) -> (Vec<u8>, [u8; 32]) {
        let hash = *self.hasher.finalize().as_bytes();
        let records = self.records.to_le_bytes();
        let out = self.record(END, "the end", &[&records, &hash]).expect("the end has one size");
        (out, hash)
    }

    fn record(&mut self, tag: u8, what: &'static str, parts: &[&[u8]]) -> Result<Vec<u8>, TooLarge> {
        let bytes = parts.iter().map(|part| part.len()).sum();
        let max = body_bytes_max(tag).expect("our own tag");
        if bytes > max {
            return Err(TooLarge::Record { what, bytes, max });
        }
        let mut out = Vec::with_capacity(TAG_BYTES + bytes);
        out.push(tag);
        out.extend((bytes as u32).to_le_bytes());
        parts.iter().for_each(|part| out.extend_from_slice(part));
        self.hasher.update(&out);
        self.records += 1;
        Ok(out)
    }
}
