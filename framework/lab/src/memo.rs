//! Checks that remember their verdict on identical bytes: a real check once per distinct message, so that a large run
//! stays honest and fast. Altered bytes are new bytes.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use peerstream_protocol::crypto::{Hash, PublicKey, Signature, Strict, Verifier, hash};

/// Verdicts and hashes remembered at most; then the memory starts anew.
const REMEMBERED_MAX: usize = 100_000;

#[derive(Debug, Default)]
struct Memory {
    strict: Strict,
    verdicts: HashMap<(PublicKey, Signature, Vec<u8>), bool>,
    hashes: HashMap<Vec<u8>, Hash>,
}

/// A verifier whose memory all nodes of a world share.
#[derive(Clone, Debug, Default)]
pub struct Memo(Rc<RefCell<Memory>>);

impl Verifier for Memo {
    fn verify(&mut self, key: &PublicKey, message: &[u8], signature: &Signature) -> bool {
        let memory = &mut *self.0.borrow_mut();
        if memory.verdicts.len() > REMEMBERED_MAX {
            memory.verdicts.clear();
        }
        let strict = &mut memory.strict;
        *memory
            .verdicts
            .entry((*key, *signature, message.to_vec()))
            .or_insert_with(|| strict.verify(key, message, signature))
    }

    fn hash(&mut self, piece: &[u8]) -> Hash {
        let memory = &mut *self.0.borrow_mut();
        if let Some(known) = memory.hashes.get(piece) {
            return *known;
        }
        if memory.hashes.len() > REMEMBERED_MAX {
            memory.hashes.clear();
        }
        *memory.hashes.entry(piece.to_vec()).or_insert_with(|| hash(piece))
    }
}
