//! An audience of a live stream: viewers come evenly and stay for as long as the live sessions that were measured.
//!
//! Lengths of sessions are lognormal, mu 5.23553 and sigma 1.54432 in seconds (mean 618 s): Veloso, Almeida, Meira,
//! Bestavros, Jin: A Hierarchical Characterization of a Live Streaming Media Workload, 2002.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use peerstream_sdk::protocol::id::NodeId;
use peerstream_sdk::protocol::time::Micros;

const MU: f64 = 5.23553;
const SIGMA: f64 = 1.54432;

/// Viewers in a steady state.
pub struct Audience {
    chance: Chance,
    leaving: BinaryHeap<Reverse<(Micros, NodeId)>>,
    pause_s: f64,
    next_join: Micros,
    next: u64,
}

/// What happens next.
#[derive(Clone, Copy, Debug)]
pub enum Change {
    Joins(NodeId),
    Leaves(NodeId),
}

impl Audience {
    /// As many viewers as that on average, with those that are there from the start, the oldest first, and the time now.
    ///
    /// A session that covers a given moment is longer than others (length-biased), and its age is a uniform part of it.
    pub fn steady(viewers: usize, seed: u64) -> (Self, Vec<(NodeId, Micros)>, Micros) {
        let mut chance = Chance(seed);
        let mut present: Vec<_> = (0..viewers)
            .map(|_| {
                let session = (MU + SIGMA * SIGMA + SIGMA * chance.normal()).exp();
                let age = session * chance.uniform();
                (age, session - age)
            })
            .collect();
        present.sort_by(|(one, _), (other, _)| other.total_cmp(one));
        let now = micros(present.first().map_or(0.0, |(oldest, _)| *oldest) + 1.0);
        let viewers_at_start: Vec<_> = (1..).map(NodeId).zip(&present).collect();
        let leaving = viewers_at_start.iter().map(|(id, (_, rest))| Reverse((now + micros(*rest), *id))).collect();
        let start = viewers_at_start.iter().map(|(id, (age, _))| (*id, Micros(now.0 - micros(*age).0))).collect();
        let pause_s = (MU + SIGMA * SIGMA / 2.0).exp() / viewers as f64;
        let audience = Self { chance, leaving, pause_s, next_join: now, next: viewers as u64 + 1 };
        (audience, start, now)
    }

    /// The next change and its time.
    pub fn next(&mut self) -> (Micros, Change) {
        match self.leaving.peek() {
            Some(Reverse((at, node))) if *at <= self.next_join => {
                let (at, node) = (*at, *node);
                self.leaving.pop();
                (at, Change::Leaves(node))
            }
            _ => {
                let (at, node) = (self.next_join, NodeId(self.next));
                self.next += 1;
                let session = (MU + SIGMA * self.chance.normal()).exp();
                self.leaving.push(Reverse((at + micros(session), node)));
                self.next_join = at + micros(-self.pause_s * self.chance.uniform().ln());
                (at, Change::Joins(node))
            }
        }
    }
}

fn micros(seconds: f64) -> Micros {
    Micros((seconds * 1e6) as u64)
}

/// SplitMix64.
pub struct Chance(pub u64);

impl Chance {
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Above 0, at most 1.
    pub fn uniform(&mut self) -> f64 {
        ((self.number() >> 11) + 1) as f64 / (1_u64 << 53) as f64
    }

    /// Box-Muller.
    fn normal(&mut self) -> f64 {
        (-2.0 * self.uniform().ln()).sqrt() * (std::f64::consts::TAU * self.uniform()).cos()
    }
}
