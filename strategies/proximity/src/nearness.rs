//! The preference for places where nodes are near each other.

use std::collections::VecDeque;

use peerstream_dumbbell::{Improvement, Peer, Place, Preference, Trees};
use peerstream_sdk::protocol::id::NodeId;
use peerstream_sdk::protocol::time::Micros;

use crate::exchange;
use crate::joining;
use crate::known::Known;
use crate::survey::{Survey, ages_fit, peer_at};

/// What is not used of a budget is kept up to this many moves.
const SAVED_MAX: f32 = 12.0;
/// Newcomers waiting for their second place, at most.
const NEWCOMERS_MAX: usize = 4_096;

/// What may be spent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Budget {
    /// Moves to optimise, per departure: exchanges of two nodes, two moves each.
    pub exchanges: f32,
    /// Second places for newcomers, per departure.
    pub settling: f32,
    /// Age at which a newcomer gets its second place, in seconds.
    pub settling_age_s: u32,
    /// Less than this, in ms, is not worth a second place.
    pub settling_gain_ms: f32,
}

impl Default for Budget {
    fn default() -> Self {
        Self { exchanges: 0.2, settling: 0.25, settling_age_s: 4, settling_gain_ms: 30.0 }
    }
}

/// Puts nodes where they are near, moves up the child that is nearer, and exchanges nodes when that saves much.
#[derive(Clone, Debug, Default)]
pub struct Nearness {
    budget: Budget,
    known: Known,
    survey: Survey,
    exchanges: f32,
    settling: f32,
    newcomers: VecDeque<(Micros, Peer, NodeId)>,
    moves: Vec<(Place, Place)>,
    drawn: u64,
}

impl Nearness {
    /// One that may spend as much as that.
    pub fn new(budget: Budget) -> Self {
        Self { budget, ..Self::default() }
    }

    /// The delay between two nodes that have coordinates, in ms, one way.
    pub fn distance(&self, a: Peer, b: Peer) -> f32 {
        self.known.distance(a, b)
    }

    fn draw(&mut self) -> u64 {
        self.drawn += 1;
        peerstream_dumbbell::chance::mix(self.drawn)
    }

    /// Newcomers that have been here for long enough and would gain most get another place.
    fn settle_newcomers(&mut self, trees: Trees<'_>) {
        let age = Micros::from_secs(u64::from(self.budget.settling_age_s));
        let mut ready: Vec<(f32, Place, Place)> = Vec::new();
        while let Some((at, peer, id)) = self.newcomers.front().copied() {
            if trees.now().since(at) < age {
                break;
            }
            self.newcomers.pop_front();
            if self.known.is(peer, id) {
                ready.extend(self.second_place(trees, peer));
            }
        }
        ready.sort_by(|one, other| other.0.total_cmp(&one.0));
        for (_, from, to) in ready {
            if self.settling < 1.0 {
                return;
            }
            self.settling -= 1.0;
            self.moves.push((from, to));
        }
    }

    fn second_place(&mut self, trees: Trees<'_>, peer: Peer) -> Option<(f32, Place, Place)> {
        let place = trees.place_of(peer)?;
        if !trees.is_leaf(place) || !self.known.is_somewhere(peer) {
            return None;
        }
        let draw = self.draw();
        let now = joining::cost(trees, &self.known, &self.survey, peer, place).unwrap_or(f32::MAX);
        let (to, then) = joining::best_open(trees, &self.known, &self.survey, peer, draw)?;
        (now - then > self.budget.settling_gain_ms).then_some((now - then, place, to))
    }
}

impl Preference for Nearness {
    const NAME: &'static str = "proximity";
    const SUMMARY: &'static str = "dumbbells of nodes that are near each other";
    const SLACK: u32 = joining::SLACK;

    fn wants_round_trips(&self) -> bool {
        true
    }

    fn on_restart(&mut self, forgetting: bool) {
        if forgetting {
            self.known = Known::default();
        }
        self.known.restart();
        self.survey = Survey::default();
        self.newcomers.clear();
        self.moves.clear();
    }

    fn on_came(&mut self, peer: Peer, id: NodeId, network: u64) {
        self.known.came(peer, id, network);
        self.survey.age();
    }

    fn on_left(&mut self, peer: Peer) {
        self.known.left(peer);
        self.survey.age();
        self.exchanges = (self.exchanges + self.budget.exchanges).min(SAVED_MAX);
        self.settling = (self.settling + self.budget.settling).min(SAVED_MAX);
    }

    fn on_round_trip(&mut self, _trees: Trees<'_>, a: Peer, b: Peer, rtt_ms: u16) {
        self.known.measured(a, b, f32::from(rtt_ms) / 2.0);
    }

    fn on_tick(&mut self, trees: Trees<'_>) {
        self.known.revise_some();
        self.survey.refresh(trees, &self.known);
        self.settle_newcomers(trees);
    }

    fn open_place(&mut self, trees: Trees<'_>, peer: Peer) -> Option<Place> {
        self.survey.refresh_if_old(trees, &self.known);
        if !self.known.is_somewhere(peer) {
            if self.newcomers.len() < NEWCOMERS_MAX {
                self.newcomers.push_back((trees.now(), peer, trees.id_of(peer)));
            }
            return trees.open().next();
        }
        let draw = self.draw();
        let best = joining::best_open(trees, &self.known, &self.survey, peer, draw);
        best.map(|(place, _)| place).or_else(|| trees.open().next())
    }

    fn rather_younger(&mut self, trees: Trees<'_>, gap: Place, older: Place, younger: Place) -> bool {
        let peers = (trees.feeder(gap), peer_at(trees, older), peer_at(trees, younger));
        let (Some(feeder), Some(old), Some(young)) = peers else { return false };
        if !ages_fit(trees, Some(younger), older, exchange::AGE_FACTOR) {
            return false;
        }
        let (known, survey) = (&self.known, &self.survey);
        let both = survey.weight(older) + survey.weight(younger);
        let cost = |rises, stays| both * known.delay(feeder, rises) + survey.weight(stays) * known.delay(old, young);
        cost(young, older) < cost(old, younger)
    }

    fn improvement(&mut self, trees: Trees<'_>) -> Option<Improvement> {
        if let Some((from, to)) = self.moves.pop() {
            return Some(Improvement::Move { from, to });
        }
        if self.exchanges < 2.0 {
            return None;
        }
        let draw = self.draw();
        match exchange::best(trees, &self.known, &self.survey, draw) {
            Some(found) => {
                self.exchanges -= 2.0;
                Some(Improvement::Exchange(found.one, found.other))
            }
            None => {
                // Nothing is looked for again before others have left.
                self.exchanges = self.exchanges.min(2.0 - self.budget.exchanges);
                None
            }
        }
    }
}
