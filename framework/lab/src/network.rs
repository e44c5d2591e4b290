//! What the simulated network does to bytes.
//!
//! A frame waits for its link's window ([`crate::wire`]) and in its sender's uplink, first come first served; travels the
//! path with some jitter; and comes through the receiver's downlink, again in a queue. A lost packet costs its frame one
//! round trip (fast retransmission); what is lost at the tail of a burst, and costs a timeout of a second in SCTP, is not
//! modelled.

use std::rc::Rc;

use peerstream_protocol::time::Micros;

use crate::chance::{Chance, fraction_of};
use crate::data::{Matrix, Regions};

/// Payload of one SCTP packet, in bytes (`docs/transport.md`).
pub(crate) const PACKET: u64 = 1_191;
/// What a packet costs besides: IP 20, UDP 8, DTLS 29, SCTP 12 and its chunk 16.
const PACKET_OVERHEAD: u64 = 85;

/// How far nodes are from each other, one way, without their access.
#[derive(Clone, Debug)]
pub enum Paths {
    /// The same for all pairs.
    Same(Micros),
    /// Each pair has its own, between the two.
    Uniform(Micros, Micros),
    /// Between hosts.
    Hosts(Rc<Matrix>),
    /// Between regions.
    Regions(Rc<Regions>),
}

/// Where a node is, and what its line can do.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Access {
    /// The host or region it is at.
    pub place: u32,
    /// Added to each path, one way.
    pub delay: Micros,
    /// To the coordinator, one way.
    pub control_delay: Micros,
    /// Bytes per second out.
    pub uplink: u64,
    /// Bytes per second in.
    pub downlink: u64,
    /// How much faster than time its clock runs.
    pub drift_ppm: i32,
}

impl Default for Access {
    /// Near everything, with 20 Mbit/s out and 100 in.
    fn default() -> Self {
        Self {
            place: 0,
            delay: Micros(0),
            control_delay: Micros::from_millis(20),
            uplink: 2_500_000,
            downlink: 12_500_000,
            drift_ppm: 0,
        }
    }
}

/// Delays and faults between all nodes.
#[derive(Clone, Debug)]
pub struct Network {
    /// How far nodes are from each other.
    pub paths: Paths,
    /// Whether viewers at the same host have addresses of one network.
    pub networks: bool,
    /// Added to that, up to this much, anew for each frame (order within a lane is kept).
    pub jitter: Micros,
    /// Share of packets lost.
    pub loss: f64,
    /// Round trips until the control connection is open.
    pub control_round_trips: u64,
    /// Round trips until a link is open, once the other side's description is there.
    pub setup_round_trips: u64,
    /// Share of pairs that cannot connect.
    pub unreachable: f64,
    /// Share of ends of links that lose the first frames they send.
    pub first_frames_lost: f64,
    /// Share of control messages lost. Greetings are not: a connection begins with them.
    pub control_lost: f64,
    /// Share of control messages that come twice.
    pub control_doubled: f64,
    /// A control message may come up to this much late, and so out of order.
    pub control_late: Micros,
    /// Draws what belongs to a pair.
    pub seed: u64,
}

impl Default for Network {
    fn default() -> Self {
        Self {
            paths: Paths::Same(Micros::from_millis(20)),
            networks: true,
            jitter: Micros::from_millis(2),
            loss: 0.0,
            control_round_trips: 3,
            setup_round_trips: 3,
            unreachable: 0.0,
            first_frames_lost: 0.0,
            control_lost: 0.0,
            control_doubled: 0.0,
            control_late: Micros(0),
            seed: 0,
        }
    }
}

/// A fraction that belongs to a pair, whoever asks.
fn of_pair(seed: u64, a: usize, b: usize) -> f64 {
    let (low, high) = (a.min(b) as u64, a.max(b) as u64);
    fraction_of(seed ^ (low << 32) ^ high)
}

impl Network {
    /// A network whose control channel loses, doubles and reorders.
    pub fn with_bad_control() -> Self {
        Self {
            first_frames_lost: 0.1,
            control_lost: 0.1,
            control_doubled: 0.1,
            control_late: Micros::from_millis(300),
            ..Self::default()
        }
    }

    /// From one node to another, one way; nodes by number and access.
    pub(crate) fn one_way(&self, a: (usize, &Access), b: (usize, &Access)) -> Micros {
        let path = match &self.paths {
            Paths::Same(delay) => *delay,
            Paths::Uniform(low, high) => {
                Micros(low.0 + (of_pair(self.seed, a.0, b.0) * (high.0 - low.0) as f64) as u64)
            }
            Paths::Hosts(matrix) => from_ms(matrix.one_way_ms(a.1.place as usize, b.1.place as usize)),
            Paths::Regions(regions) => from_ms(regions.0[a.1.place as usize].one_way_ms[b.1.place as usize]),
        };
        path + a.1.delay + b.1.delay
    }

    /// The network that a viewer's address tells; none if it tells nothing.
    pub(crate) fn network(&self, access: &Access) -> Option<u32> {
        (self.networks && matches!(self.paths, Paths::Hosts(_))).then_some(access.place)
    }

    /// Whether two nodes can open a link.
    pub(crate) fn connects(&self, a: usize, b: usize) -> bool {
        self.unreachable == 0.0 || of_pair(!self.seed, a, b) >= self.unreachable
    }

    /// What the way of one frame of this many bytes adds to the delay.
    pub(crate) fn troubles(&self, bytes: u64, round_trip: Micros, chance: &mut Chance) -> Micros {
        let jitter = Micros(chance.below(self.jitter.0 + 1));
        if self.loss == 0.0 {
            return jitter;
        }
        let whole = (1.0 - self.loss).powi(bytes.div_ceil(PACKET) as i32);
        if chance.happens(1.0 - whole) { jitter + round_trip } else { jitter }
    }

    /// How late each copy of one control message arrives, beyond the way's delay.
    pub(crate) fn control_copies(&self, sure: bool, chance: &mut Chance) -> impl Iterator<Item = Micros> {
        let lost = !sure && chance.happens(self.control_lost);
        let doubled = !sure && !lost && chance.happens(self.control_doubled);
        let mut late = || if sure { Micros(0) } else { Micros(chance.below(self.control_late.0 + 1)) };
        let copies = [(!lost).then(&mut late), doubled.then(&mut late)];
        copies.into_iter().flatten()
    }
}

/// Bytes on the line for a frame of this many.
pub(crate) fn on_the_line(bytes: u64) -> u64 {
    bytes + bytes.div_ceil(PACKET) * PACKET_OVERHEAD
}

/// The time this many bytes take at this rate.
pub(crate) fn sending(bytes: u64, bytes_per_second: u64) -> Micros {
    Micros(bytes * 1_000_000 / bytes_per_second.max(1))
}

/// Milliseconds as time.
pub(crate) fn from_ms(ms: f64) -> Micros {
    Micros((ms.max(0.0) * 1_000.0) as u64)
}
