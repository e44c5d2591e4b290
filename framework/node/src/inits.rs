//! The codec headers of the retained segments.

use std::collections::VecDeque;

use peerstream_protocol::segment::{Init, InitId};

/// Inits kept at most; the one that is longest unused goes first.
const INITS_MAX: usize = 16;

#[derive(Debug)]
struct Known {
    id: InitId,
    init: Init,
    encoded: Vec<u8>,
}

#[derive(Debug, Default)]
pub(crate) struct Inits(VecDeque<Known>);

impl Inits {
    pub(crate) fn insert(&mut self, id: InitId, init: Init, encoded: Vec<u8>) {
        if self.get(id).is_none() {
            self.0.push_back(Known { id, init, encoded });
        }
    }

    pub(crate) fn get(&self, id: InitId) -> Option<&Init> {
        self.0.iter().find(|known| known.id == id).map(|known| &known.init)
    }

    pub(crate) fn encoded(&self, id: InitId) -> Option<&[u8]> {
        self.0.iter().find(|known| known.id == id).map(|known| &known.encoded[..])
    }

    /// Lets go of inits that are not needed, beyond the bound.
    pub(crate) fn retain_for(&mut self, needed: impl Fn(InitId) -> bool) {
        if self.0.len() > INITS_MAX {
            let oldest_unused = self.0.iter().position(|known| !needed(known.id)).unwrap_or(0);
            self.0.remove(oldest_unused);
        }
    }
}
