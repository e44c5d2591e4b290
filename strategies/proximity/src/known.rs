//! What is known of each node: its coordinate, and the delays it was last measured to have.

use std::collections::BTreeMap;

use peerstream_dumbbell::{Peer, chance};
use peerstream_sdk::protocol::id::NodeId;

use crate::coordinate::Coordinate;

/// Measured delays remembered of each node; the oldest make room.
const SAMPLES: usize = 8;
/// How often what a newcomer has measured is gone through again when something is added.
const ROUNDS: usize = 12;
/// A node that has measured as many is no newcomer any more.
const MEASURED_WELL: u8 = 4;
/// How much of the way to a node the middle moves with each measurement of one that knows where it is.
const MIDDLE_STEP: f32 = 0.001;
/// Nodes gone through again with each tick.
const REVISED: usize = 4_096;

/// A delay to a node, one way.
#[derive(Clone, Copy, Debug)]
struct Sample {
    peer: u32,
    /// The occupant of that number when it was measured.
    born: u32,
    delay: f32,
}

/// One node.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) id: NodeId,
    pub(crate) at: Coordinate,
    /// Which occupant of its number it is.
    born: u32,
    samples: [Sample; SAMPLES],
    /// Measured so far, at most 255.
    pub(crate) measured: u8,
    pub(crate) present: bool,
    /// It has had its second place, or does not get one any more.
    pub(crate) settled: bool,
    /// Helpers it was given only to measure how far they are.
    pub(crate) probes: u8,
}

const NO_SAMPLE: Sample = Sample { peer: u32::MAX, born: 0, delay: 0.0 };

impl Node {
    fn new(id: NodeId, at: Coordinate, born: u32) -> Self {
        Self { id, at, born, samples: [NO_SAMPLE; SAMPLES], measured: 0, present: true, settled: false, probes: 0 }
    }

    fn note(&mut self, sample: Sample) {
        let same = |known: &Sample| known.peer == sample.peer && known.born == sample.born;
        match self.samples.iter().position(same) {
            Some(known) => self.samples[known] = sample,
            None => {
                self.samples[usize::from(self.measured) % SAMPLES] = sample;
                // Beyond 255 the number keeps its remainder, and with it the order in which samples make room.
                self.measured = self.measured.checked_add(1).unwrap_or(u8::MAX - SAMPLES as u8 + 1);
            }
        }
    }

    /// Whether enough was measured to say where it is.
    pub(crate) fn is_known(&self) -> bool {
        self.measured >= 2
    }
}

/// All nodes by number; the source is 0.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    nodes: Vec<Node>,
    /// Where nodes are on average: there a newcomer is taken to be.
    middle: Coordinate,
    /// What was known of nodes before all got new numbers, until they have come back.
    before: BTreeMap<NodeId, Coordinate>,
    drawn: u64,
    /// The node at which going through them again goes on.
    next: usize,
    born: u32,
}

impl Default for Known {
    fn default() -> Self {
        let source = Node::new(NodeId::SOURCE, Coordinate::default(), 0);
        let middle = Coordinate::default();
        Self { nodes: vec![source], middle, before: BTreeMap::new(), drawn: 0, next: 0, born: 0 }
    }
}

impl Known {
    /// All numbers are given anew.
    pub(crate) fn restart(&mut self, forgetting: bool) {
        if forgetting {
            *self = Self::default();
            return;
        }
        self.before = self.nodes.drain(1..).filter(|node| node.present).map(|node| (node.id, node.at)).collect();
        self.nodes[0].samples = [NO_SAMPLE; SAMPLES];
    }

    pub(crate) fn came(&mut self, peer: Peer, id: NodeId) {
        self.born = self.born.wrapping_add(1);
        let before = self.before.remove(&id);
        let mut node = Node::new(id, before.unwrap_or(self.middle.unsure()), self.born);
        if before.is_some() {
            (node.measured, node.settled) = (MEASURED_WELL, true);
        }
        if self.nodes.len() <= peer.index() {
            let absent = Node { present: false, ..Node::new(NodeId::SOURCE, self.middle, 0) };
            self.nodes.resize(peer.index() + 1, absent);
        }
        self.nodes[peer.index()] = node;
    }

    pub(crate) fn left(&mut self, peer: Peer) {
        if let Some(node) = self.nodes.get_mut(peer.index()) {
            node.present = false;
        }
    }

    pub(crate) fn get(&self, peer: Peer) -> &Node {
        &self.nodes[peer.index()]
    }

    pub(crate) fn get_mut(&mut self, peer: Peer) -> &mut Node {
        &mut self.nodes[peer.index()]
    }

    /// The delay between two nodes, one way, as far as can be told.
    pub(crate) fn distance(&self, a: Peer, b: Peer) -> f32 {
        self.nodes[a.index()].at.distance(&self.nodes[b.index()].at)
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
        }
        self.revise_with(one);
        self.revise_with(other);
    }

    /// Something was added to what a node has measured: newcomers go through all of it again and again.
    fn revise_with(&mut self, node: usize) {
        let rounds = if self.nodes[node].measured <= SAMPLES as u8 && node != 0 { ROUNDS } else { 1 };
        (0..rounds).for_each(|_| self.revise(node));
        if self.nodes[node].measured >= MEASURED_WELL {
            let at = self.nodes[node].at;
            self.middle.drift(&at, MIDDLE_STEP);
        }
    }

    /// Goes through what a node has measured once more.
    fn revise(&mut self, node: usize) {
        let mut at = self.nodes[node].at;
        for Sample { peer, born, delay } in self.nodes[node].samples {
            let Some(other) = self.nodes.get(peer as usize).filter(|other| other.present && other.born == born) else {
                continue;
            };
            if peer != 0 && !other.is_known() {
                continue;
            }
            self.drawn += 1;
            at.pull(&other.at, delay, chance::mix(self.drawn));
        }
        self.nodes[node].at = at;
    }

    /// Goes through what some nodes have measured once more, as their neighbours may know better by now where they are.
    pub(crate) fn revise_some(&mut self) {
        let count = self.nodes.len().min(REVISED);
        for _ in 0..count {
            self.next = (self.next + 1) % self.nodes.len();
            if self.nodes[self.next].present {
                self.revise(self.next);
            }
        }
    }
}
