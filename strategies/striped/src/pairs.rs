//! Pairs of nodes that could not open a link to each other.

use std::collections::BTreeMap;

use peerstream_sdk::prelude::*;

/// At most this many pairs are remembered; more are not taken in until some are forgotten.
const PAIRS_MAX: usize = 4_096;
/// A pair is forgotten after this long: networks change.
const PAIR_AGE_MAX: Micros = Micros::from_secs(600);

/// Pairs that should not be put together again, the smaller name first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pairs {
    failed: BTreeMap<(NodeId, NodeId), Micros>,
    /// Pairs not taken in because there were too many.
    dropped: u64,
}

impl Pairs {
    pub(crate) fn insert(&mut self, a: NodeId, b: NodeId, now: Micros) {
        if self.failed.len() >= PAIRS_MAX {
            self.dropped += 1;
            return;
        }
        self.failed.insert((a.min(b), a.max(b)), now);
    }

    pub(crate) fn contains(&self, a: NodeId, b: NodeId) -> bool {
        self.failed.contains_key(&(a.min(b), a.max(b)))
    }

    pub(crate) fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Pairs of those who are gone go by their age too: names are not given twice.
    pub(crate) fn forget_old(&mut self, now: Micros) {
        self.failed.retain(|_, since| now.since(*since) < PAIR_AGE_MAX);
    }
}
