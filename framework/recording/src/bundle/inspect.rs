//! Verifies a bundle offline.

use std::fmt;

use bytes::Bytes;

use super::{ATTACHMENT_BYTES_MAX, BundleError, Decoder, Head, Record};
use crate::{Check, Payload, Report, UnprovenMeta};

/// The attachments of a bundle that are kept for whoever looks at them, in bytes; a bundle with more is refused.
const ATTACHED_BYTES_MAX: usize = 2 * ATTACHMENT_BYTES_MAX;

/// Verifies a bundle as its bytes come. Segments are looked at and let go; attachments are kept.
#[derive(Debug, Default)]
pub struct Inspection {
    decoder: Decoder,
    head: Option<Box<Head>>,
    check: Option<Check>,
    unproven: Option<UnprovenMeta>,
    attachments: Vec<Attachment>,
    attached_bytes: usize,
    end: Option<([u8; 32], bool)>,
}

/// A file that goes with a bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// A plain name.
    pub name: String,
    /// What is in it.
    pub content: Bytes,
    /// Whether it is what it was when the bundle was made.
    pub intact: bool,
}

/// What a bundle was found to be.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// What it says it is of.
    pub head: Head,
    /// Why that proves nothing, if so; then nothing was verified.
    pub unproven: Option<UnprovenMeta>,
    /// What was found in the segments.
    pub report: Report,
    /// What goes with it.
    pub attachments: Vec<Attachment>,
    /// The hash that stands for the whole bundle.
    pub hash: [u8; 32],
    /// Whether the bundle names the same.
    pub intact: bool,
}

impl Inspection {
    /// Takes the next bytes.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), BundleError> {
        self.decoder.push(bytes);
        while let Some(record) = self.decoder.poll()? {
            self.take(record)?;
        }
        Ok(())
    }

    /// No more comes.
    pub fn finish(self) -> Result<Verdict, BundleError> {
        self.decoder.finish()?;
        let (head, (hash, intact)) = self.head.zip(self.end).ok_or(BundleError::CutShort { at: 0 })?;
        Ok(Verdict {
            head: *head,
            unproven: self.unproven,
            report: self.check.map(Check::finish).unwrap_or_default(),
            attachments: self.attachments,
            hash,
            intact,
        })
    }

    fn take(&mut self, record: Record) -> Result<(), BundleError> {
        match record {
            Record::Head(head) => {
                match Check::new(&head.meta, head.manifest.clone()) {
                    Ok(check) => self.check = Some(check),
                    Err(unproven) => self.unproven = Some(unproven),
                }
                self.head = Some(head);
            }
            Record::Init { id, encoded } => self.check.iter_mut().for_each(|check| check.init(id, &encoded)),
            Record::Segment { header, payload } => {
                let payload = payload.as_deref().map_or(Payload::Withheld, Payload::Whole);
                self.check.iter_mut().for_each(|check| check.segment(&header, payload));
            }
            Record::Attachment { name, content, intact } => {
                self.attached_bytes += content.len();
                if self.attached_bytes > ATTACHED_BYTES_MAX {
                    return Err(BundleError::Malformed { at: 0, what: "the attachments are too large together" });
                }
                self.attachments.push(Attachment { name, content, intact });
            }
            Record::End { hash, intact } => self.end = Some((hash, intact)),
        }
        Ok(())
    }
}

impl Verdict {
    /// Whether nothing is wrong.
    pub fn is_clean(&self) -> bool {
        let attachments = self.attachments.iter().all(|attachment| attachment.intact);
        self.unproven.is_none() && self.report.is_clean() && attachments && self.intact
    }
}

/// All that is wrong, a line each; nothing when nothing is.
impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(unproven) = &self.unproven {
            writeln!(f, "{unproven}")?;
        }
        self.report.findings.iter().try_for_each(|finding| writeln!(f, "{finding}"))?;
        if self.report.findings_dropped > 0 {
            writeln!(f, "and {} more", self.report.findings_dropped)?;
        }
        for attachment in self.attachments.iter().filter(|attachment| !attachment.intact) {
            writeln!(f, "attachment {}: altered", attachment.name)?;
        }
        if !self.intact {
            writeln!(f, "the bundle as a whole is not what it was when it was made")?;
        }
        Ok(())
    }
}
