//! Passes set-up messages between neighbours.

use peerstream_protocol::control::Down;
use peerstream_protocol::id::NodeId;

use crate::coordinator::Coordinator;

impl Coordinator {
    /// Nothing is kept for a node that is away: the offering side tries again.
    pub(crate) fn on_signal(&mut self, from: NodeId, to: NodeId, attempt: u32, payload: Vec<u8>) {
        let (rate, now) = (self.signal_rate(), self.now);
        let allowed = self.members.get_mut(from).is_some_and(|member| member.signals.take(rate, now));
        if !allowed {
            return self.counters.signals_dropped += 1;
        }
        if !self.are_neighbours(from, to) && !self.share_the_past(from, to) {
            return self.counters.signals_unfounded += 1;
        }
        match self.members.get(to).and_then(|member| member.conn.get()) {
            Some(conn) => {
                self.counters.signals += 1;
                self.send(conn, &Down::Signal { from, attempt, payload });
            }
            None => self.counters.signals_undeliverable += 1,
        }
    }
}
