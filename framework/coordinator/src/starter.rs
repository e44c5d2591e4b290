//! Starters: within a budget the source feeds newcomers over the control connection until a parent does.

use std::collections::BTreeMap;

use peerstream_protocol::control::Down;
use peerstream_protocol::id::NodeId;
use peerstream_protocol::segment::Kind;
use peerstream_protocol::time::Micros;

use crate::coordinator::Coordinator;

/// A starter that was not needed for this long, or was not used, ends.
const SPAN_MAX: Micros = Micros::from_secs(5);
/// The budget saves up for this long.
const SAVED_MAX: Micros = Micros::from_secs(2);

/// What a hop is taken to cost before its child has said what it does.
const HOP_MS: u32 = 150;
/// No starter stays farther behind the live edge; the source does not keep much more.
const BEHIND_MS_MAX: u32 = 4_000;

/// Who is being started, and what may still be spent.
#[derive(Clone, Debug, Default)]
pub(crate) struct Starters {
    active: BTreeMap<NodeId, Micros>,
    /// Newcomers of this moment, to be started once they have a place.
    placing: Vec<NodeId>,
    /// Bytes; below zero when the last frame took more than was left.
    budget: i64,
    filled: Micros,
}

impl Starters {
    fn refill(&mut self, per_second: u64, now: Micros) {
        let earned = u128::from(now.since(self.filled).0) * u128::from(per_second) / 1_000_000;
        let most = i64::try_from(per_second * SAVED_MAX.as_millis() / 1_000).unwrap_or(i64::MAX);
        if earned > 0 {
            let earned = i64::try_from(earned).unwrap_or(i64::MAX);
            (self.budget, self.filled) = (self.budget.saturating_add(earned).min(most), now);
        }
    }
}

impl Coordinator {
    /// A newcomer gets a starter if the budget allows, once it has a place.
    pub(crate) fn start(&mut self, node: NodeId) {
        let (now, per_second) = (self.now, self.config.limits.starter_bytes_per_second);
        self.starters.refill(per_second, now);
        if per_second == 0 || self.config.kind == Kind::Data {
            return;
        }
        if self.starters.budget <= 0 {
            self.counters.starters_refused += 1;
            return;
        }
        self.counters.starters += 1;
        self.starters.placing.push(node);
    }

    /// Newcomers have got their places: their starters begin.
    pub(crate) fn begin_starters(&mut self) {
        for node in std::mem::take(&mut self.starters.placing) {
            self.starters.active.insert(node, self.now);
            let behind_ms = self.expected_lag_ms(node);
            self.tell_source(&Down::Start { node, behind_ms });
        }
    }

    /// How far behind the live edge a node's place is: as far as the nearest node above says that it is, and some for each
    /// hop from there.
    fn expected_lag_ms(&self, node: NodeId) -> u32 {
        let (mut lag_ms, mut at) = (0, node);
        while let Some(above) =
            self.topology.get(at).and_then(|member| member.parent()).filter(|_| lag_ms < BEHIND_MS_MAX)
        {
            lag_ms += HOP_MS;
            let said = self.members.get(above).map_or(0, |member| member.figures.received_lag_ms);
            if said > 0 || above == NodeId::SOURCE {
                lag_ms += said;
                break;
            }
            at = above;
        }
        lag_ms.min(BEHIND_MS_MAX)
    }

    /// The newcomer has a parent that feeds it, or is gone.
    pub(crate) fn end_starter(&mut self, node: NodeId) {
        if self.starters.active.remove(&node).is_some() {
            self.tell_source(&Down::EndStart(node));
        }
    }

    /// Frames from the source for a newcomer; those for one whose starter has ended are dropped.
    pub(crate) fn pass_starter(&mut self, from: NodeId, to: NodeId, frames: Vec<Vec<u8>>) {
        if from != NodeId::SOURCE {
            return self.counters.unexpected += 1;
        }
        let conn = self.members.get(to).and_then(|member| member.conn.get());
        let Some(conn) = conn.filter(|_| self.starters.active.contains_key(&to)) else { return };
        let (now, per_second) = (self.now, self.config.limits.starter_bytes_per_second);
        self.starters.refill(per_second, now);
        let bytes: usize = frames.iter().map(Vec::len).sum();
        self.starters.budget -= bytes as i64;
        self.counters.starter_bytes += bytes as u64;
        self.send(conn, &Down::Starter(frames));
    }

    /// Ends what has gone on for too long, and everything once twice the budget is spent.
    pub(crate) fn end_old_starters(&mut self) {
        let most = i64::try_from(self.config.limits.starter_bytes_per_second).unwrap_or(i64::MAX);
        let overdrawn = self.starters.budget < -most;
        let now = self.now;
        let over = |since: Micros| overdrawn || now.since(since) >= SPAN_MAX;
        let over: Vec<_> = self.starters.active.iter().filter(|(_, at)| over(**at)).map(|(node, _)| *node).collect();
        over.into_iter().for_each(|node| self.end_starter(node));
    }

    fn tell_source(&mut self, message: &Down) {
        if let Some(conn) = self.members.get(NodeId::SOURCE).and_then(|source| source.conn.get()) {
            self.send(conn, message);
        }
    }
}
