//! Pairs of nodes that could not open a link to each other.

use std::collections::BTreeMap;

use peerstream_sdk::protocol::id::NodeId;
use peerstream_sdk::protocol::time::Micros;

/// At most this many pairs are remembered; more are not taken in until some are forgotten.
const PAIRS_MAX: usize = 8_192;
/// A pair is forgotten after this long: networks change.
const PAIR_AGE_MAX: Micros = Micros::from_secs(600);

/// Pairs that should not be put together again.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pairs {
    failed: BTreeMap<(NodeId, NodeId), Micros>,
    /// Pairs not taken in because there were too many.
    pub(crate) dropped: u64,
}

impl Pairs {
    pub(crate) fn insert(&mut self, a: NodeId, b: NodeId, now: Micros) {
        if self.failed.len() >= 2 * PAIRS_MAX {
            self.dropped += 1;
            return;
        }
        self.failed.insert((a, b), now);
        self.failed.insert((b, a), now);
    }

    pub(crate) fn contains(&self, a: NodeId, b: NodeId) -> bool {
        !self.failed.is_empty() && self.failed.contains_key(&(a, b))
    }

    pub(crate) fn forget(&mut self, node: NodeId) {
        if self.failed.is_empty() {
            return;
        }
        let partners: Vec<_> = self.of(node).collect();
        for partner in partners {
            self.failed.remove(&(node, partner));
            self.failed.remove(&(partner, node));
        }
    }

    pub(crate) fn forget_old(&mut self, now: Micros) {
        self.failed.retain(|_, since| now.since(*since) < PAIR_AGE_MAX);
    }

    fn of(&self, node: NodeId) -> impl Iterator<Item = NodeId> {
        self.failed.range((node, NodeId(0))..=(node, NodeId(u64::MAX))).map(|((_, partner), _)| *partner)
    }
}
