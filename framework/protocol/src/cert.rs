//! The certificate with which a publisher lets a key sign one epoch.

use serde::{Deserialize, Serialize};

use crate::crypto::{PublicKey, SecretKey, Signature, Verifier};
use crate::id::Epoch;

/// Lets `key` sign the segments of one epoch, so that the publisher's own key never leaves its owner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EpochCert {
    /// The stream.
    pub publisher: PublicKey,
    /// The broadcast.
    pub epoch: Epoch,
    /// What signs its segments.
    pub key: PublicKey,
    /// Seconds since 1970 after which no new segment may be signed with `key`.
    pub expiry_s: u64,
    /// The publisher's, over all of the above.
    pub signature: Signature,
}

const DOMAIN: &[u8] = b"peerstream/epoch-cert/1";

fn message(epoch: Epoch, key: &PublicKey, expiry_s: u64) -> Vec<u8> {
    [DOMAIN, &epoch.0.to_le_bytes(), &key.0, &expiry_s.to_le_bytes()].concat()
}

impl EpochCert {
    /// Signs a certificate with the publisher's key.
    pub fn issue(publisher: &SecretKey, epoch: Epoch, key: PublicKey, expiry_s: u64) -> Self {
        let signature = publisher.sign(&message(epoch, &key, expiry_s));
        Self { publisher: publisher.public(), epoch, key, expiry_s, signature }
    }

    /// The certificate as it travels and is kept.
    pub fn encode(&self) -> Vec<u8> {
        postcard::to_extend(self, Vec::new()).expect("our own messages encode")
    }

    /// Reads what [`Self::encode`] wrote. Not yet verified.
    pub fn decode(bytes: &[u8]) -> Result<Self, crate::DecodeError> {
        crate::from_postcard(bytes)
    }

    /// Whether the publisher really signed this.
    pub fn is_genuine(&self, verifier: &mut impl Verifier) -> bool {
        let message = message(self.epoch, &self.key, self.expiry_s);
        verifier.verify(&self.publisher, &message, &self.signature)
    }
}
