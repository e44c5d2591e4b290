//! Which broadcast a recording is of.

use peerstream_protocol::cert::EpochCert;
use peerstream_protocol::crypto::{PublicKey, Strict};
use peerstream_protocol::header::Context;
use peerstream_protocol::id::{Epoch, Rendition};
use peerstream_protocol::segment::Kind;
use serde::{Deserialize, Serialize};

/// Which broadcast is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamMeta {
    /// The publisher's key, 64 hexadecimal digits.
    pub stream: String,
    /// The broadcast.
    pub epoch: Epoch,
    /// Media or data.
    pub kind: Kind,
    /// The publisher's certificate for the key of this broadcast, as it travels, in hexadecimal digits; with it a recording can
    /// be verified for years.
    pub cert: String,
    /// What people call it.
    #[serde(default)]
    pub title: Option<String>,
}

/// The certificate in hexadecimal digits is no longer; one is about 150 bytes.
const CERT_DIGITS_MAX: usize = 1_024;

/// Why the word on a broadcast proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnprovenMeta {
    /// The stream is no key.
    #[error("the stream's name is no publisher's key of 64 hexadecimal digits")]
    Stream,
    /// The certificate is none.
    #[error("the certificate cannot be read")]
    Unreadable,
    /// The certificate is another stream's or another broadcast's.
    #[error("the certificate is another stream's or another broadcast's")]
    Other,
    /// The publisher did not sign the certificate.
    #[error("the certificate is not signed by the publisher's key")]
    Forged,
}

impl StreamMeta {
    /// The key that signs the segments of this broadcast, proven by the publisher's certificate, and what its headers are read with.
    pub fn prove(&self) -> Result<(PublicKey, Context), UnprovenMeta> {
        let stream = PublicKey::from_hex(&self.stream).ok_or(UnprovenMeta::Stream)?;
        let cert =
            unhex(&self.cert).and_then(|bytes| EpochCert::decode(&bytes).ok()).ok_or(UnprovenMeta::Unreadable)?;
        if (cert.publisher, cert.epoch) != (stream, self.epoch) {
            return Err(UnprovenMeta::Other);
        }
        if !cert.is_genuine(&mut Strict::default()) {
            return Err(UnprovenMeta::Forged);
        }
        Ok((cert.key, Context { stream, epoch: self.epoch, rendition: Rendition(0) }))
    }

    /// Of the broadcast that this certificate lets its key sign.
    pub fn of(cert: &EpochCert, kind: Kind, title: Option<String>) -> Self {
        let hex = cert.encode().iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
        Self { stream: cert.publisher.to_string(), epoch: cert.epoch, kind, cert: hex, title }
    }
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    if text.len() > CERT_DIGITS_MAX || !text.len().is_multiple_of(2) {
        return None;
    }
    let digit = |c: u8| (c as char).to_digit(16);
    text.as_bytes().chunks_exact(2).map(|pair| Some((digit(pair[0])? * 16 + digit(pair[1])?) as u8)).collect()
}
