//! What an archive that is only added to was given last: tells a segment that comes again from another one under its number.

use std::collections::BTreeMap;

use peerstream_protocol::crypto::{Hash, hash};
use peerstream_protocol::id::Seq;
use peerstream_traits::archive::Segment;
use peerstream_traits::{ErrorClass, PluginError};

/// Segments that are known again when they are put again: the framework repeats the last one only.
pub const RECENT_MAX: usize = 1024;

/// What a segment is to a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It comes after all that was kept.
    New,
    /// The same one was kept.
    Known,
}

/// The latest segments of a recording, by the hashes of their signed headers.
#[derive(Clone, Debug, Default)]
pub struct Recent {
    hashes: BTreeMap<Seq, Hash>,
}

impl Recent {
    /// What this segment is; a [`Conflict`](ErrorClass::Conflict) when another one has its number, or it comes too late.
    pub fn standing(&self, segment: &Segment) -> Result<Standing, PluginError> {
        let seq = segment.header.core.seq;
        let after_all = self.hashes.last_key_value().is_none_or(|(last, _)| *last < seq);
        match self.hashes.get(&seq) {
            Some(known) if *known == hash(&segment.encoded) => Ok(Standing::Known),
            None if after_all => Ok(Standing::New),
            _ => Err(PluginError::new(ErrorClass::Conflict, "another segment has this number, or a later one")),
        }
    }

    /// This segment is kept.
    pub fn add(&mut self, segment: &Segment) {
        self.add_hash(segment.header.core.seq, hash(&segment.encoded));
    }

    /// A segment with this hash of its signed header was kept before.
    pub fn add_hash(&mut self, seq: Seq, hash: Hash) {
        self.hashes.insert(seq, hash);
        if self.hashes.len() > RECENT_MAX {
            self.hashes.pop_first();
        }
    }

    /// Another recording begins.
    pub fn clear(&mut self) {
        self.hashes.clear();
    }
}
