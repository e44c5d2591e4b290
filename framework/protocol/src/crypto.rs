//! Keys, signatures and hashes: Ed25519 (RFC 8032) and BLAKE3.

use core::fmt;

use ed25519_dalek::{Signer, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};

/// A BLAKE3 hash.
pub type Hash = [u8; 32];

/// Hashes bytes with BLAKE3.
pub fn hash(bytes: &[u8]) -> Hash {
    *blake3::hash(bytes).as_bytes()
}

/// An Ed25519 public key. The publisher's names the stream.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PublicKey(pub [u8; 32]);

impl PublicKey {
    /// Reads 64 hexadecimal digits.
    pub fn from_hex(text: &str) -> Option<Self> {
        let text = text.as_bytes();
        if text.len() != 64 {
            return None;
        }
        let mut key = [0; 32];
        for (byte, pair) in key.iter_mut().zip(text.chunks_exact(2)) {
            let digit = |c: u8| (c as char).to_digit(16);
            *byte = (digit(pair[0])? * 16 + digit(pair[1])?) as u8;
        }
        Some(Self(key))
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// An Ed25519 signature.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Signature([[u8; 32]; 2]);

impl Signature {
    /// The 64 bytes of the signature.
    pub fn to_bytes(self) -> [u8; 64] {
        let mut bytes = [0; 64];
        bytes[..32].copy_from_slice(&self.0[0]);
        bytes[32..].copy_from_slice(&self.0[1]);
        bytes
    }

    /// A signature of 64 bytes.
    pub fn from_bytes(bytes: &[u8; 64]) -> Self {
        let half = |from: usize| core::array::from_fn(|i| bytes[from + i]);
        Self([half(0), half(32)])
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signature(..)")
    }
}

/// An Ed25519 key pair; wiped from memory when dropped.
pub struct SecretKey(SigningKey);

impl SecretKey {
    /// The key pair of 32 secret random bytes.
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(seed))
    }

    /// The public half.
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key().to_bytes())
    }

    /// Signs a message.
    pub fn sign(&self, message: &[u8]) -> Signature {
        Signature::from_bytes(&self.0.sign(message).to_bytes())
    }

    /// Another secret for one purpose, from which this one cannot be computed (BLAKE3 key derivation).
    pub fn derive(&self, purpose: &str) -> [u8; 32] {
        blake3::derive_key(purpose, &self.0.to_bytes())
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey({})", self.public())
    }
}

/// Checks signatures and hashes. A simulator remembers the verdicts on identical bytes.
pub trait Verifier {
    /// Whether this is a simulation, in which a piece may be a few bytes that stand for more
    /// ([`PieceSize::Scaled`](crate::segment::PieceSize::Scaled)).
    const SIMULATED: bool = false;

    /// Whether `signature` is `key`'s over `message`.
    fn verify(&mut self, key: &PublicKey, message: &[u8], signature: &Signature) -> bool;
    /// The BLAKE3 hash of a piece.
    fn hash(&mut self, piece: &[u8]) -> Hash {
        hash(piece)
    }
}

/// Checks everything, every time, with `verify_strict` (no malleable signatures, no weak keys).
#[derive(Clone, Debug, Default)]
pub struct Strict {
    last: Option<(PublicKey, VerifyingKey)>,
}

impl Verifier for Strict {
    fn verify(&mut self, key: &PublicKey, message: &[u8], signature: &Signature) -> bool {
        if self.last.as_ref().is_none_or(|(last, _)| last != key) {
            let Ok(parsed) = VerifyingKey::from_bytes(&key.0) else { return false };
            self.last = Some((*key, parsed));
        }
        let (_, parsed) = self.last.as_ref().expect("set above");
        parsed.verify_strict(message, &ed25519_dalek::Signature::from_bytes(&signature.to_bytes())).is_ok()
    }
}
