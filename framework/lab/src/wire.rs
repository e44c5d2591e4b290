//! One end of a simulated link: its window, what is in flight, and the credit its node knows of.
//!
//! The window is SCTP's (RFC 9260, 7.2): it begins at ten packets, as Chromium's does (dcSCTP; the RFC allows four), doubles each round trip while it is used to the full, and
//! ends where losses keep it, at 1.22 packets / sqrt(loss) (Mathis, Semke, Mahdavi, Ott, CCR 1997), or at the receive window
//! of 256 KiB. 1 % loss thus carries 2.9 Mbit/s at 40 ms and 0.8 at 150 ms, as was measured with real stacks
//! (`docs/transport.md`).

use std::collections::VecDeque;

use peerstream_node::LinkId;
use peerstream_protocol::frame::Lane;
use peerstream_protocol::time::Micros;

use crate::network::PACKET;

/// Bytes a link takes before it reports no credit, and its receive window, as in the real transport.
pub(crate) const CREDIT: u64 = 256 * 1024;
/// The window at the start.
const WINDOW_FIRST: u64 = 10 * PACKET;

/// Where losses keep a window.
pub(crate) fn window_max(loss: f64) -> u64 {
    if loss <= 0.0 {
        return CREDIT;
    }
    ((1.22 * PACKET as f64 / loss.sqrt()) as u64).clamp(PACKET, CREDIT)
}

/// One end of a link.
#[derive(Debug)]
pub(crate) struct Wire {
    /// The other end: node and its name for the link.
    pub(crate) other: Option<(usize, LinkId)>,
    pub(crate) open: bool,
    /// There is nobody at the other end any more.
    pub(crate) deserted: bool,
    /// One way to the other end.
    pub(crate) delay: Micros,
    /// When the last frame of each lane arrives, to keep order within a lane.
    pub(crate) arrives: [Micros; 2],
    /// What is sent before this time is lost.
    pub(crate) loses_until: Micros,
    /// Nothing gets through before this time.
    pub(crate) cut_until: Micros,
    /// When a piece last came over it that was not too late.
    pub(crate) fed: Micros,
    /// When a piece or a header last came over it.
    pub(crate) feeds: Micros,
    /// What the node believes it may send.
    pub(crate) credit: u64,
    /// A word about credit is under way.
    pub(crate) told: bool,
    /// When what was sent will have been acknowledged.
    flight: VecDeque<(Micros, u32)>,
    in_flight: u64,
    window: u64,
}

impl Default for Wire {
    fn default() -> Self {
        Self {
            other: None,
            open: false,
            deserted: false,
            delay: Micros(0),
            arrives: [Micros(0); 2],
            loses_until: Micros(0),
            cut_until: Micros(0),
            fed: Micros(0),
            feeds: Micros(0),
            credit: 0,
            told: false,
            flight: VecDeque::new(),
            in_flight: 0,
            window: WINDOW_FIRST,
        }
    }
}

impl Wire {
    /// A new one over a path of this delay.
    pub(crate) fn with_delay(delay: Micros) -> Self {
        Self { delay, ..Self::default() }
    }

    /// Bytes sent and not acknowledged by now.
    pub(crate) fn in_flight(&mut self, now: Micros) -> u64 {
        while self.flight.front().is_some_and(|(at, _)| *at <= now) {
            self.in_flight -= self.flight.pop_front().map_or(0, |(_, bytes)| u64::from(bytes));
        }
        self.in_flight
    }

    /// When what would travel until then arrives: after what was sent before it on its lane, and not while nothing gets
    /// through.
    pub(crate) fn in_order(&mut self, lane: Lane, travels: Micros, now: Micros) -> Micros {
        let cut = if self.cut_until > now { self.cut_until + self.delay + self.delay } else { Micros(0) };
        let arrives = travels.max(self.arrives[lane as usize]).max(cut);
        self.arrives[lane as usize] = arrives;
        arrives
    }

    /// When the next bytes will have been acknowledged.
    pub(crate) fn next_acknowledged(&self) -> Option<Micros> {
        self.flight.front().map(|(at, _)| *at)
    }

    /// How long the last of these bytes waits for the window, which grows by being used: log2 round trips while it
    /// doubles, then in proportion.
    pub(crate) fn wait_for_window(&mut self, bytes: u64, window_max: u64, now: Micros) -> Micros {
        let beyond = (self.in_flight(now) + bytes).saturating_sub(self.window);
        if beyond == 0 {
            return Micros(0);
        }
        let grows = beyond.min(window_max.saturating_sub(self.window));
        let doublings = (1.0 + grows as f64 / self.window as f64).log2();
        let steady = (beyond - grows) as f64 / window_max as f64;
        self.window += grows;
        Micros((self.delay.0 as f64 * 2.0 * (doublings + steady)) as u64)
    }

    /// Notes what was sent, and when that will be known to have arrived; never, when nobody is there.
    pub(crate) fn on_sent(&mut self, bytes: u64, acknowledged: Micros) {
        let after = self.flight.back().map_or(acknowledged, |(last, _)| acknowledged.max(*last));
        self.flight.push_back((after, bytes as u32));
        self.in_flight += bytes;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Mbit/s over ten seconds of a sender that always has 16 KiB to send.
    fn rate(round_trip_ms: u64, loss: f64) -> f64 {
        let mut wire = Wire { delay: Micros::from_millis(round_trip_ms / 2), ..Wire::default() };
        let mut now = Micros(0);
        let mut sent = 0;
        while now < Micros::from_secs(10) {
            let wait = wire.wait_for_window(16_384, window_max(loss), now);
            wire.on_sent(16_384, now + wait + Micros::from_millis(round_trip_ms));
            sent += 16_384;
            now += wait.max(Micros(1));
        }
        sent as f64 * 8.0 / now.0 as f64
    }

    #[test]
    fn losses_and_the_receive_window_bound_the_rate_as_measured() {
        for (round_trip_ms, loss, low, high) in
            [(40, 0.01, 1.4, 4.0), (150, 0.01, 0.5, 1.1), (40, 0.0, 40.0, 60.0), (150, 0.0, 11.0, 15.0)]
        {
            let rate = rate(round_trip_ms, loss);
            assert!((low..high).contains(&rate), "{rate:.2} Mbit/s at {round_trip_ms} ms and {loss}");
        }
    }

    #[test]
    fn a_new_link_takes_log2_round_trips_for_its_first_segment() {
        let mut wire = Wire { delay: Micros::from_millis(20), ..Wire::default() };
        let wait = wire.wait_for_window(62_500, window_max(0.0), Micros(0));
        assert!((90..102).contains(&wait.as_millis()), "{wait:?}");
        wire.on_sent(62_500, Micros::from_millis(200));
        assert_eq!(wire.wait_for_window(62_500, window_max(0.0), Micros::from_secs(1)), Micros(0), "the window stays");
    }
}
