//! How many nodes the source feeds: as many as its budget is worth at the stream's bitrate.

use peerstream_overlay::Event;
use peerstream_protocol::id::NodeId;
use peerstream_protocol::time::Micros;

use crate::coordinator::Coordinator;

/// The bitrate is taken over this long.
const SPAN: Micros = Micros::from_secs(10);
/// More children are given only when there is this much to spare for each of them, in percent: the bitrate of video
/// varies, and every change moves nodes.
const MARGIN_PERCENT: u64 = 120;

/// What is known of the source's bitrate.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct SourceBudget {
    /// Children that the source itself offers to feed.
    offered: u8,
    since: Micros,
    produced: u64,
}

impl Coordinator {
    /// The source offers to feed so many children.
    pub(crate) fn source_says(&mut self, capacity: u8) {
        let before = self.source_budget.offered;
        self.source_budget.offered = capacity;
        if before != capacity {
            self.topology.set_ability(NodeId::SOURCE, capacity, true);
            self.events.push(Event::Changed(NodeId::SOURCE));
        }
    }

    /// The source has produced so many bytes: room for children follows from the budget.
    pub(crate) fn measure_bitrate(&mut self, produced: u64) {
        let budget = self.config.limits.source_bits_per_second;
        let SourceBudget { since, produced: before, offered } = self.source_budget;
        let span = self.now.since(since);
        if budget == 0 || (since != Micros(0) && span < SPAN) {
            return;
        }
        (self.source_budget.since, self.source_budget.produced) = (self.now, produced);
        let bits = produced.saturating_sub(before).saturating_mul(8);
        let rate = bits.saturating_mul(1_000_000) / span.0.max(1);
        if since == Micros(0) || rate == 0 {
            return;
        }
        let capacity = self.topology.get(NodeId::SOURCE).map_or(offered, |source| source.capacity);
        let most = u64::from(self.config.limits.capacity_max.max(offered));
        // Whole dumbbells: room for an odd child would be of no use.
        let room =
            |percent: u64| (budget.saturating_mul(100) / rate.saturating_mul(percent).max(1)).min(most) as u8 & !1;
        let fewer = capacity.min(room(100));
        let capacity_now = fewer.max(room(MARGIN_PERCENT)).max(offered);
        if capacity_now != capacity {
            self.topology.set_ability(NodeId::SOURCE, capacity_now, true);
            self.events.push(Event::Changed(NodeId::SOURCE));
        }
    }
}
