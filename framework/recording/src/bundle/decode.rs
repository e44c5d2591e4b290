//! Reads a bundle as its bytes come.

use bytes::{Buf, Bytes, BytesMut};
use peerstream_protocol::segment::InitId;

use super::{
    ATTACHMENT, ATTACHMENTS_MAX, END, END_BYTES, HEAD, Head, INIT, MAGIC, SEGMENT, TAG_BYTES, VERSION, body_bytes_max,
    is_name,
};

/// One record of a bundle.
#[derive(Clone, Debug, PartialEq)]
pub enum Record {
    /// What the bundle is of; always the first.
    Head(Box<Head>),
    /// An init.
    Init {
        /// Its id; not yet compared.
        id: InitId,
        /// As it travels.
        encoded: Bytes,
    },
    /// A segment; not yet verified.
    Segment {
        /// Its header as it travels.
        header: Bytes,
        /// None if it is withheld.
        payload: Option<Bytes>,
    },
    /// A file that goes with it.
    Attachment {
        /// A plain name.
        name: String,
        /// What is in it.
        content: Bytes,
        /// Whether it is what it was when the bundle was made.
        intact: bool,
    },
    /// The end; nothing comes after it.
    End {
        /// The hash of all bytes before this record.
        hash: [u8; 32],
        /// Whether the bundle names the same hash and the same number of records.
        intact: bool,
    },
}

/// Why bytes are no bundle. `at` counts them from the beginning.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BundleError {
    /// It begins with something else.
    #[error("this is no evidence bundle")]
    NoBundle,
    /// A later layout.
    #[error("this bundle has version {0}, this program reads version {VERSION}")]
    Version(u8),
    /// A record that does not exist, or where it may not be.
    #[error("at byte {at}: {what}")]
    Malformed {
        /// Where.
        at: u64,
        /// What.
        what: &'static str,
    },
    /// It ends in the middle.
    #[error("the bundle breaks off at byte {at}")]
    CutShort {
        /// Where.
        at: u64,
    },
}

/// Reads a bundle. Holds one record at most.
#[derive(Debug)]
pub struct Decoder {
    waiting: BytesMut,
    hasher: blake3::Hasher,
    /// Bytes that were read.
    at: u64,
    stage: Stage,
    records: u64,
    attachments: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Magic,
    Head,
    Body,
    Ended,
}

impl Default for Decoder {
    fn default() -> Self {
        Self {
            waiting: BytesMut::new(),
            hasher: blake3::Hasher::new(),
            at: 0,
            stage: Stage::Magic,
            records: 0,
            attachments: 0,
        }
    }
}

impl Decoder {
    /// Takes the next bytes; [`Self::poll`] is to be called until it gives nothing before there are more.
    pub fn push(&mut self, bytes: &[u8]) {
        self.waiting.extend_from_slice(bytes);
    }

    /// The next record, or nothing until more has come.
    pub fn poll(&mut self) -> Result<Option<Record>, BundleError> {
        if self.stage == Stage::Magic && !self.magic()? {
            return Ok(None);
        }
        if self.stage == Stage::Ended {
            return if self.waiting.is_empty() { Ok(None) } else { Err(self.malformed("bytes after the end")) };
        }
        let Some((&tag, rest)) = self.waiting.split_first() else { return Ok(None) };
        let max = body_bytes_max(tag).ok_or_else(|| self.malformed("no record begins like this"))?;
        if (tag == HEAD) != (self.stage == Stage::Head) {
            return Err(self.malformed("the head is the first record, and only the first"));
        }
        let Some(len) = rest.first_chunk().map(|len| u32::from_le_bytes(*len) as usize) else { return Ok(None) };
        if len > max {
            return Err(self.malformed("a record is longer than one of its kind can be"));
        }
        if self.waiting.len() < TAG_BYTES + len {
            return Ok(None);
        }
        self.record(tag, len).map(Some)
    }

    /// No more comes.
    pub fn finish(&self) -> Result<(), BundleError> {
        match self.stage {
            Stage::Ended if self.waiting.is_empty() => Ok(()),
            Stage::Ended => Err(self.malformed("bytes after the end")),
            Stage::Magic if !MAGIC.starts_with(&self.waiting[..self.waiting.len().min(MAGIC.len())]) => {
                Err(BundleError::NoBundle)
            }
            _ => Err(BundleError::CutShort { at: self.at + self.waiting.len() as u64 }),
        }
    }

    fn magic(&mut self) -> Result<bool, BundleError> {
        let Some((magic, rest)) = self.waiting.split_first_chunk::<{ MAGIC.len() }>() else { return Ok(false) };
        let Some(version) = rest.first() else { return Ok(false) };
        if *magic != MAGIC {
            return Err(BundleError::NoBundle);
        }
        if *version != VERSION {
            return Err(BundleError::Version(*version));
        }
        self.take(MAGIC.len() + 1);
        self.stage = Stage::Head;
        Ok(true)
    }

    fn record(&mut self, tag: u8, len: usize) -> Result<Record, BundleError> {
        let at = self.at;
        let malformed = |what| BundleError::Malformed { at, what };
        if tag == END {
            return self.end(len).ok_or(malformed("the end has another size"));
        }
        let mut body = self.take(TAG_BYTES + len).split_off(TAG_BYTES);
        self.records += 1;
        self.stage = Stage::Body;
        match tag {
            HEAD => {
                let head = serde_json::from_slice(&body).map_err(|_| malformed("the head cannot be read"))?;
                Ok(Record::Head(Box::new(head)))
            }
            INIT if len >= 16 => {
                let encoded = body.split_off(16);
                Ok(Record::Init { id: InitId(body[..].try_into().expect("16 bytes")), encoded })
            }
            SEGMENT => segment(body).ok_or(malformed("a segment shorter than its header")),
            ATTACHMENT if self.attachments < ATTACHMENTS_MAX => {
                self.attachments += 1;
                attachment(body).ok_or(malformed("an attachment without a plain name"))
            }
            ATTACHMENT => Err(malformed("too many attachments")),
            _ => Err(malformed("an init without its id")),
        }
    }

    fn end(&mut self, len: usize) -> Option<Record> {
        if len != END_BYTES {
            return None;
        }
        let hash = *self.hasher.finalize().as_bytes();
        let mut body = self.take(TAG_BYTES + len).split_off(TAG_BYTES);
        let intact = body.get_u64_le() == self.records && body[..] == hash;
        self.stage = Stage::Ended;
        Some(Record::End { hash, intact })
    }

    fn take(&mut self, len: usize) -> Bytes {
        let bytes = self.waiting.split_to(len).freeze();
        self.hasher.update(&bytes);
        self.at += len as u64;
        bytes
    }

    fn malformed(&self, what: &'static str) -> BundleError {
        BundleError::Malformed { at: self.at, what }
    }
}

fn segment(mut body: Bytes) -> Option<Record> {
    if body.len() < 5 {
        return None;
    }
    let (header_len, withheld) = (body.get_u32_le() as usize, body.get_u8());
    if withheld > 1 || header_len > body.len() {
        return None;
    }
    let payload = body.split_off(header_len);
    match withheld {
        0 => Some(Record::Segment { header: body, payload: Some(payload) }),
        _ if payload.is_empty() => Some(Record::Segment { header: body, payload: None }),
        _ => None,
    }
}

fn attachment(mut body: Bytes) -> Option<Record> {
    if body.len() < 33 {
        return None;
    }
    let name_len = usize::from(body.get_u8());
    let hash = body.split_to(32);
    if name_len > body.len() {
        return None;
    }
    let content = body.split_off(name_len);
    let name = std::str::from_utf8(&body).ok().filter(|name| is_name(name))?.to_owned();
    let intact = hash[..] == *blake3::hash(&content).as_bytes();
    Some(Record::Attachment { name, content, intact })
}
