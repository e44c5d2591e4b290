//! What is known of each node: where it is, and the delays it was last measured to have.

use std::collections::BTreeMap;

use peerstream_dumbbell::{Peer, chance};
use peerstream_sdk::protocol::id::NodeId;

use crate::coordinate::{Height, Spot, distance, pull};

/// Measured delays remembered of each node; the oldest make room.
const SAMPLES: usize = 16;
/// How often what a newcomer has measured is gone through again when something is added.
const ROUNDS: usize = 12;
/// A network of which as many delays were measured is somewhere.
const MEASURED_MIN: u32 = 2;
/// How much of the way to a node the middle moves with each measurement.
const MIDDLE_STEP: f32 = 0.001;
/// Nodes gone through again with each tick.
const REVISED: usize = 4_096;
/// Networks without nodes that are remembered, at most.
const DESERTED_MAX: usize = 16_384;

/// A delay to a node, one way.
#[derive(Clone, Copy, Debug)]
struct Sample {
    peer: u32,
    /// The occupant of that number when it was measured.
    born: u32,
    delay: f32,
}

const NO_SAMPLE: Sample = Sample { peer: u32::MAX, born: 0, delay: 0.0 };

/// One node.
#[derive(Clone, Debug)]
struct Node {
    id: NodeId,
    /// Which occupant of its number it is; 0 when there is none.
    born: u32,
    samples: [Sample; SAMPLES],
    /// Measured so far; counts on in a circle of [`SAMPLES`].
    measured: usize,
}

impl Node {
    const ABSENT: Self = Self { id: NodeId::SOURCE, born: 0, samples: [NO_SAMPLE; SAMPLES], measured: 0 };

    fn note(&mut self, sample: Sample) {
        let same = |known: &Sample| known.peer == sample.peer && known.born == sample.born;
        let at = self.samples.iter().position(same).unwrap_or_else(|| {
            self.measured += 1;
            (self.measured - 1) % SAMPLES
        });
        self.samples[at] = sample;
    }
}

/// A network: nodes that are at about the same point.
#[derive(Clone, Copy, Debug, Default)]
struct Network {
    name: u64,
    spot: Spot,
    nodes: u32,
    /// Delays measured of its nodes so far.
    measured: u32,
}

/// All nodes by number; the source is 0.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    nodes: Vec<Node>,
    heights: Vec<Height>,
    /// Which network each node belongs to; a node of which that is not known has one of its own.
    of: Vec<u32>,
    networks: Vec<Network>,
    named: BTreeMap<u64, u32>,
    free: Vec<u32>,
    /// Where nodes are on average: there a newcomer is taken to be.
    middle: Spot,
    height: f32,
    drawn: u64,
    /// The node at which going through them again goes on.
    next: usize,
    born: u32,
}

impl Default for Known {
    fn default() -> Self {
        let source = Node { born: 1, ..Node::ABSENT };
        Self {
            nodes: vec![source],
            heights: vec![Height::unsure(0.0)],
            of: vec![0],
            networks: vec![Network { nodes: 1, ..Network::default() }],
            named: BTreeMap::new(),
            free: Vec::new(),
            middle: Spot::default(),
            height: 0.0,
            drawn: 0,
            next: 0,
            born: 1,
        }
    }
}

impl Known {
    /// All numbers are given anew; networks are where they were.
    pub(crate) fn restart(&mut self) {
        (1..self.nodes.len()).for_each(|number| self.forget(number));
        self.nodes.truncate(1);
        self.heights.truncate(1);
        self.of.truncate(1);
        self.nodes[0] = Node { born: 1, ..Node::ABSENT };
    }

    /// A node of that network has that number; 0 when its network is not known.
    pub(crate) fn came(&mut self, peer: Peer, id: NodeId, network: u64) {
        let number = peer.index();
        self.born = self.born.wrapping_add(1).max(2);
        if self.nodes.len() <= number {
            self.nodes.resize(number + 1, Node::ABSENT);
            self.heights.resize(number + 1, Height::unsure(0.0));
            self.of.resize(number + 1, 0);
        }
        self.nodes[number] = Node { id, born: self.born, ..Node::ABSENT };
        self.heights[number] = Height::unsure(self.height);
        self.of[number] = self.enter(network);
    }

    /// The network of that name, with one node more.
    fn enter(&mut self, name: u64) -> u32 {
        let known = self.named.get(&name).copied().filter(|_| name != 0);
        let at = known.or_else(|| self.free.pop()).unwrap_or(self.networks.len() as u32);
        if known.is_none() {
            let spot = Spot { error: 1.0, ..self.middle };
            let network = Network { name, spot, nodes: 0, measured: 0 };
            if at as usize == self.networks.len() {
                self.networks.push(network);
            } else {
                self.networks[at as usize] = network;
            }
            if name != 0 {
                self.named.insert(name, at);
            }
        }
        self.networks[at as usize].nodes += 1;
        at
    }

    pub(crate) fn left(&mut self, peer: Peer) {
        self.forget(peer.index());
    }

    fn forget(&mut self, number: usize) {
        let Some(node) = self.nodes.get_mut(number).filter(|node| node.born != 0) else { return };
        *node = Node::ABSENT;
        let at = self.of[number];
        let network = &mut self.networks[at as usize];
        network.nodes -= 1;
        let remembered = network.name != 0 && self.named.len() <= self.nodes.len() + DESERTED_MAX;
        if network.nodes == 0 && !remembered {
            self.named.remove(&network.name);
            self.free.push(at);
        }
    }

    /// Whether that number is still this node's.
    pub(crate) fn is(&self, peer: Peer, id: NodeId) -> bool {
        self.nodes.get(peer.index()).is_some_and(|node| node.born != 0 && node.id == id)
    }

    /// Whether enough was measured to say where it is.
    pub(crate) fn is_somewhere(&self, peer: Peer) -> bool {
        self.networks[self.of[peer.index()] as usize].measured >= MEASURED_MIN
    }

    fn place(&self, number: usize) -> (&Spot, &Height) {
        (&self.networks[self.of[number] as usize].spot, &self.heights[number])
    }

    /// The delay between two nodes, one way, as the coordinates have it.
    pub(crate) fn distance(&self, a: Peer, b: Peer) -> f32 {
        distance(self.place(a.index()), self.place(b.index()))
    }

    /// The delay between two nodes that may have measured it.
    pub(crate) fn delay(&self, a: Peer, b: Peer) -> f32 {
        let measured = self.delay_measured(a, b).or_else(|| self.delay_measured(b, a));
        measured.unwrap_or_else(|| self.distance(a, b))
    }

    fn delay_measured(&self, a: Peer, b: Peer) -> Option<f32> {
        let (number, born) = (b.index() as u32, self.nodes[b.index()].born);
        let samples = &self.nodes[a.index()].samples;
        samples.iter().find(|known| known.peer == number && known.born == born).map(|known| known.delay)
    }

    /// Two nodes have measured how far they are from each other, one way.
    pub(crate) fn measured(&mut self, a: Peer, b: Peer, delay: f32) {
        let (one, other) = (a.index(), b.index());
        if one == other || one.max(other) >= self.nodes.len() {
            return;
        }
        for (node, peer) in [(one, other), (other, one)] {
            let born = self.nodes[peer].born;
            self.nodes[node].note(Sample { peer: peer as u32, born, delay });
            let network = &mut self.networks[self.of[node] as usize];
            network.measured = network.measured.saturating_add(1);
        }
        self.revise_with(one);
        self.revise_with(other);
    }

    /// Something was added to what a node has measured: newcomers go through all of it again and again.
    fn revise_with(&mut self, node: usize) {
        let rounds = if self.nodes[node].measured <= SAMPLES && node != 0 { ROUNDS } else { 1 };
        (0..rounds).for_each(|_| self.revise(node));
        let (spot, height) = (self.networks[self.of[node] as usize].spot, self.heights[node]);
        self.middle.drift(&spot, MIDDLE_STEP);
        self.height += (height.ms - self.height) * MIDDLE_STEP;
    }

    /// Goes through what a node has measured once more.
    fn revise(&mut self, node: usize) {
        let (mut spot, mut height) = {
            let (spot, height) = self.place(node);
            (*spot, *height)
        };
        for Sample { peer, born, delay } in self.nodes[node].samples {
            let number = peer as usize;
            let is_there = self.nodes.get(number).is_some_and(|other| other.born == born && born != 0);
            if !is_there || (number != 0 && self.networks[self.of[number] as usize].measured < MEASURED_MIN) {
                continue;
            }
            self.drawn += 1;
            let (its_spot, its_height) = self.place(number);
            if self.of[number] == self.of[node] {
                // Within a network only the heights are between them.
                pull((&mut spot.clone(), &mut height), (&spot.clone(), its_height), delay, 0);
            } else {
                pull((&mut spot, &mut height), (its_spot, its_height), delay, chance::mix(self.drawn));
            }
        }
        self.networks[self.of[node] as usize].spot = spot;
        self.heights[node] = height;
    }

    /// Goes through what some nodes have measured once more, as their neighbours may know better by now where they are.
    pub(crate) fn revise_some(&mut self) {
        let count = self.nodes.len().min(REVISED);
        for _ in 0..count {
            self.next = (self.next + 1) % self.nodes.len();
            if self.nodes[self.next].born != 0 {
                self.revise(self.next);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use peerstream_dumbbell::Peer;

    use super::*;

    /// Nodes on a plane with heights, of which each has measured eight others; the median error of all other pairs.
    fn median_error(per_network: usize) -> f32 {
        let fraction = |n: u64| (chance::mix(n) >> 40) as f32 / (1 << 24) as f32;
        let count = 400;
        let site = |n: usize| {
            let network = (n / per_network) as u64;
            (fraction(network) * 120.0, fraction(network ^ 0xfee) * 80.0, 1.0 + 9.0 * fraction(n as u64 ^ 0xabc))
        };
        let delay = |a: usize, b: usize| {
            let (a, b) = (site(a), site(b));
            ((a.0 - b.0).powi(2) + (a.1 - b.1).powi(2)).sqrt() + a.2 + b.2
        };
        let mut known = Known::default();
        let peer = |n: usize| Peer::with_number(n + 1);
        for n in 0..count {
            let network = if per_network > 1 { (n / per_network) as u64 + 1 } else { 0 };
            known.came(peer(n), NodeId(n as u64 + 1), network);
        }
        for n in 0..count {
            (0..8).for_each(|try_| {
                let other = chance::below(count, n as u64, try_);
                known.measured(peer(n), peer(other), delay(n, other));
            });
        }
        (0..60).for_each(|_| known.revise_some());
        let pairs = (0..count).flat_map(|a| (0..a).map(move |b| (a, b)));
        let mut errors: Vec<_> =
            pairs.map(|(a, b)| (known.distance(peer(a), peer(b)) / delay(a, b) - 1.0).abs()).collect();
        errors.sort_by(f32::total_cmp);
        errors[errors.len() / 2]
    }

    #[test]
    fn coordinates_converge_on_a_plane_with_heights() {
        let error = median_error(1);
        assert!(error < 0.12, "{error}");
    }

    #[test]
    fn coordinates_of_networks_are_better() {
        let error = median_error(10);
        assert!(error < 0.06, "{error}");
    }

    #[test]
    fn a_newcomer_of_a_known_network_is_where_the_others_are() {
        let mut known = Known::default();
        let [a, b, c] = [1, 2, 3].map(Peer::with_number);
        known.came(a, NodeId(1), 7);
        known.came(b, NodeId(2), 8);
        for _ in 0..200 {
            known.measured(a, Peer::SOURCE, 30.0);
            known.measured(b, Peer::SOURCE, 30.0);
            known.measured(a, b, 50.0);
        }
        known.came(c, NodeId(3), 7);
        assert!(known.is_somewhere(c) && known.distance(c, a) < known.distance(c, b));
    }

    #[test]
    fn what_a_liar_says_moves_others_little() {
        let mut known = Known::default();
        let [a, b, liar] = [1, 2, 3].map(Peer::with_number);
        [a, b, liar].into_iter().for_each(|peer| known.came(peer, NodeId(peer.index() as u64), 0));
        for _ in 0..200 {
            known.measured(a, Peer::SOURCE, 10.0);
            known.measured(b, Peer::SOURCE, 10.0);
            known.measured(a, b, 15.0);
        }
        known.measured(liar, a, 30_000.0);
        assert!(known.distance(a, b) < 60.0, "{}", known.distance(a, b));
    }
}
