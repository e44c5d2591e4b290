//! What a claimant gets: proof that a notice came in, and when, that can be checked without the host.

use peerstream_protocol::crypto::{PublicKey, SecretKey, Strict, Verifier as _};
use serde::{Deserialize, Serialize};

use crate::docket::Docket;
use crate::hex::{Digest, Seal};

/// A receipt as a file is no larger, in bytes.
pub const RECEIPT_BYTES_MAX: usize = 16 * 1024;

const SIGNED: &[u8] = b"peerstream/takedown/receipt/1";

/// The operator's word that a notice came in. The same case always has the same receipt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Receipt {
    /// What it is: always `takedown-1`.
    pub peerstream: String,
    /// The case's number.
    pub case: u64,
    /// When it came in, microseconds since 1970.
    pub received_us: u64,
    /// The publisher's key of the stream, 64 hexadecimal digits.
    pub stream: String,
    /// The broadcast.
    pub epoch: u64,
    /// The entry of the log with which the case began.
    pub entry: u64,
    /// That entry's hash, the head of the log at that time: it binds the notice, the statements and all that came before.
    pub head: Digest,
    /// The operator's key, 64 hexadecimal digits.
    pub operator: Digest,
    /// The operator's signature over all of the above.
    pub signature: Seal,
}

/// What is wrong with a receipt.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Wrong {
    /// It is none.
    #[error("it is no receipt: {0}")]
    Malformed(String),
    /// The signature does not hold.
    #[error("its signature does not hold: something in it was changed, or the key is not the operator's")]
    Signature,
    /// Another operator has signed it.
    #[error("it is signed by the key {0}, expected another one")]
    Operator(PublicKey),
}

impl Receipt {
    /// Of a case.
    pub fn new(docket: &Docket, operator: &SecretKey) -> Self {
        let mut receipt = Self {
            peerstream: "takedown-1".into(),
            case: docket.id,
            received_us: docket.received_us,
            stream: docket.stream.clone(),
            epoch: docket.epoch,
            entry: docket.entry,
            head: docket.entry_hash,
            operator: Digest(operator.public().0),
            signature: Seal(operator.sign(&[])),
        };
        receipt.signature = Seal(operator.sign(&receipt.signed_bytes()));
        receipt
    }

    fn signed_bytes(&self) -> Vec<u8> {
        let Self { case, received_us, stream, epoch, entry, head, operator, .. } = self;
        let head_text = format!("{case} {received_us} {epoch} {entry} {head} {operator} {stream}");
        [SIGNED, head_text.as_bytes()].concat()
    }

    /// Reads one.
    ///
    /// # Errors
    /// It is none. The signature is not looked at.
    pub fn parse(bytes: &[u8]) -> Result<Self, Wrong> {
        if bytes.len() > RECEIPT_BYTES_MAX {
            let message = format!("it has {} bytes, expected at most {RECEIPT_BYTES_MAX}", bytes.len());
            return Err(Wrong::Malformed(message));
        }
        let receipt: Self = serde_json::from_slice(bytes).map_err(|error| Wrong::Malformed(error.to_string()))?;
        match receipt.peerstream.as_str() {
            "takedown-1" => Ok(receipt),
            other => Err(Wrong::Malformed(format!("it says `{}`, expected `takedown-1`", other.escape_debug()))),
        }
    }

    /// Checks it; also that it is of this operator, if one is named.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn verify(&self, operator: Option<PublicKey>) -> Result<(), Wrong> {
        let key = PublicKey(self.operator.0);
        if operator.is_some_and(|operator| operator != key) {
            return Err(Wrong::Operator(key));
        }
        match Strict::default().verify(&key, &self.signed_bytes(), &self.signature.0) {
            true => Ok(()),
            false => Err(Wrong::Signature),
        }
    }
}
