//! Whether this node's uplink carries its children. A node that finds that it does not says so, and is made a leaf.
//!
//! One child that takes nothing may itself be the cause, or lie; so nothing follows from a single one. When all of several
//! children are held up at once, the uplink is what they share.

use peerstream_protocol::crypto::Verifier;
use peerstream_protocol::time::Micros;

use crate::link::{CREDIT_RESERVE, Link};
use crate::node::Node;

/// The uplink is too weak when all children are held up for this long.
const WEAK_AFTER: Micros = Micros::from_secs(4);
/// It counts as too weak for this long, twice as long each time, up to the second.
const WEAK_FIRST: Micros = Micros::from_secs(60);
const WEAK_MAX: Micros = Micros::from_secs(600);
/// Fewer children say nothing.
const CHILDREN_MIN: usize = 2;

/// What is known of the uplink.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Uplink {
    held_up_since: Option<Micros>,
    weak_until: Micros,
    times: u32,
}

impl<V: Verifier> Node<V> {
    /// May relay, and can.
    pub(crate) fn offers_to_relay(&self) -> bool {
        self.relay && self.now >= self.uplink.weak_until
    }

    pub(crate) fn watch_uplink(&mut self) {
        if !self.is_receiver() || !self.offers_to_relay() {
            return;
        }
        if !self.are_all_children_held_up() {
            self.uplink.held_up_since = None;
            return;
        }
        let now = self.now;
        let since = *self.uplink.held_up_since.get_or_insert(now);
        if now.since(since) >= WEAK_AFTER {
            let pause = Micros(WEAK_FIRST.0 << self.uplink.times.min(4)).min(WEAK_MAX);
            self.uplink = Uplink { held_up_since: None, weak_until: now + pause, times: self.uplink.times + 1 };
            self.counters.weak_uplinks += 1;
            self.report_soon();
        }
    }

    fn are_all_children_held_up(&self) -> bool {
        let children = || self.links.values().filter(|link| link.feed.is_some() && self.reconciler.is_child(link.peer));
        children().count() >= CHILDREN_MIN && children().all(|link| self.is_held_up(link))
    }

    /// Whether something is owed to a child for which there is no credit: what was sent before is still under way.
    fn is_held_up(&self, link: &Link) -> bool {
        let next = link.feed.as_ref().and_then(|feed| self.window.get(feed.cursor()?));
        next.is_some_and(|segment| {
            let piece = segment.header.core.piece_size.bytes().min(segment.payload_len());
            link.credit < CREDIT_RESERVE + piece as u32
        })
    }
}
