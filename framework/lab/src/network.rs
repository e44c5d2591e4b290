//! What the simulated network does to bytes.

use peerstream_protocol::time::Micros;

use crate::chance::Chance;

/// Delays, rates and faults, the same for all pairs.
#[derive(Clone, Debug)]
pub struct Network {
    /// From node to node, one way.
    pub delay: Micros,
    /// Added to that, up to this much, anew for each frame (order within a lane is kept).
    pub jitter: Micros,
    /// From node to coordinator, one way.
    pub control_delay: Micros,
    /// Each node's uplink in bytes per second; frames queue for it.
    pub uplink_bytes_per_second: u64,
    /// Round trips until a link is open.
    pub setup_round_trips: u64,
    /// Of a thousand ends of links, so many lose the first frame they send.
    pub first_frames_lost_permille: u64,
    /// Of a thousand control messages, so many are lost. Greetings are not: a connection begins with them.
    pub control_lost_permille: u64,
    /// Of a thousand control messages, so many come twice.
    pub control_doubled_permille: u64,
    /// A control message may come up to this much late, and so out of order.
    pub control_late: Micros,
}

impl Default for Network {
    fn default() -> Self {
        Self {
            delay: Micros::from_millis(20),
            jitter: Micros::from_millis(2),
            control_delay: Micros::from_millis(20),
            uplink_bytes_per_second: 2_500_000,
            setup_round_trips: 3,
            first_frames_lost_permille: 0,
            control_lost_permille: 0,
            control_doubled_permille: 0,
            control_late: Micros(0),
        }
    }
}

impl Network {
    /// A network whose control channel loses, doubles and reorders.
    pub fn with_bad_control() -> Self {
        Self {
            first_frames_lost_permille: 100,
            control_lost_permille: 100,
            control_doubled_permille: 100,
            control_late: Micros::from_millis(300),
            ..Self::default()
        }
    }

    /// How long one frame takes once it has left.
    pub(crate) fn travel(&self, chance: &mut Chance) -> Micros {
        self.delay + Micros(chance.below(self.jitter.0 + 1))
    }

    /// When the copies of one control message arrive, counted from now.
    pub(crate) fn control_arrivals(&self, greeting: bool, chance: &mut Chance) -> Vec<Micros> {
        if greeting {
            return vec![self.control_delay];
        }
        let copies = match (chance.permille(self.control_lost_permille), chance.permille(self.control_doubled_permille))
        {
            (true, _) => 0,
            (false, true) => 2,
            (false, false) => 1,
        };
        (0..copies).map(|_| self.control_delay + Micros(chance.below(self.control_late.0 + 1))).collect()
    }
}
