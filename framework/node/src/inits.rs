//! The codec headers of the retained segments.

use std::collections::VecDeque;

use peerstream_protocol::segment::{Init, InitId};

use crate::window::Window;

/// Inits kept at most; the one that is longest unused goes first.
const INITS_MAX: usize = 4;

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

    /// Lets go of inits that neither the window nor the next segment needs, beyond the bound.
    pub(crate) fn retain_for(&mut self, window: &Window, next: InitId) {
        if self.0.len() > INITS_MAX {
            let needed = |id| id == next || window.from(window.first()).any(|(_, s)| s.header.core.init == id);
            let oldest_unused = self.0.iter().position(|known| !needed(known.id)).unwrap_or(0);
            self.0.remove(oldest_unused);
        }
    }
}
