//! What tells one strategy of dumbbells from another: which of several places that would all be right.

use peerstream_sdk::prelude::*;

use crate::node::Slot;
use crate::place::{Forest, Place};
use crate::tree::Tree;

/// Chooses where the rules of the dumbbell leave a choice. The rules themselves, who is a leaf, who backs up whom, how gaps
/// are closed, are the same for all.
///
/// As pure and deterministic as a strategy: the same calls give the same answers.
pub trait Preference {
    /// The strategy's name, in lower case with dashes.
    const NAME: &'static str;
    /// What it does, in one line.
    const SUMMARY: &'static str;
    /// How far it can be relied on.
    const STABILITY: Stability = Stability::Experimental;
    /// How many levels more than needed the trees may have.
    const SLACK: u32 = 0;

    /// Whether [`Self::on_round_trip`] is to be told anything.
    fn wants_round_trips(&self) -> bool {
        false
    }

    /// All peers get new numbers; [`Self::on_came`] says which. With `forgetting` nothing is to be remembered of them.
    fn on_restart(&mut self, _forgetting: bool) {}

    /// A node is there, and has this number until it leaves. Nodes of one network have the same one, if it is not 0.
    fn on_came(&mut self, _peer: Peer, _id: NodeId, _network: u64) {}

    /// A node is gone, and its number free.
    fn on_left(&mut self, _peer: Peer) {}

    /// The round trip between two nodes, as one of them measured it.
    fn on_round_trip(&mut self, _trees: Trees<'_>, _a: Peer, _b: Peer, _rtt_ms: u16) {}

    /// A second or so has passed.
    fn on_tick(&mut self, _trees: Trees<'_>) {}

    /// The open place for a node that has none; none only when there is no open place.
    fn open_place(&mut self, trees: Trees<'_>, _peer: Peer) -> Option<Place> {
        trees.open().next()
    }

    /// Whether the younger of two children that relay takes the gap above them, and not the older one.
    fn rather_younger(&mut self, _trees: Trees<'_>, _gap: Place, _older: Place, _younger: Place) -> bool {
        false
    }

    /// A change that is worth it although nothing asks for it; asked again after each until there is none.
    fn improvement(&mut self, _trees: Trees<'_>) -> Option<Improvement> {
        None
    }
}

/// A change that a [`Preference`] asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Improvement {
    /// The occupants of two places change them.
    Exchange(Place, Place),
    /// A leaf moves to an open place.
    Move {
        /// Where it is.
        from: Place,
        /// Where it goes.
        to: Place,
    },
}

/// The dumbbell's own: newcomers take the shallowest place, and the older child rises.
#[derive(Clone, Copy, Debug, Default)]
pub struct ByAge;

impl Preference for ByAge {
    const NAME: &'static str = "dumbbell";
    const SUMMARY: &'static str = "two parallel balanced trees, older nodes higher";
    const STABILITY: Stability = Stability::Beta;
}

/// A node, or the source, by a small number. When a node has left, another one gets its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Peer(u32);

impl Peer {
    /// The source.
    pub const SOURCE: Self = Self(0);

    /// The number; 0 for the source.
    pub fn index(self) -> usize {
        self.0 as usize
    }

    /// The one with that number.
    pub fn with_number(number: usize) -> Self {
        Self(u32::try_from(number).unwrap_or(u32::MAX))
    }

    pub(crate) fn of(slot: Slot) -> Self {
        if slot == Slot::SOURCE { Self::SOURCE } else { Self(slot.0 + 1) }
    }

    pub(crate) fn slot(self) -> Slot {
        self.0.checked_sub(1).map_or(Slot::SOURCE, Slot)
    }
}

/// Who sits at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seated {
    /// Who.
    pub peer: Peer,
    /// Since when it counts as being here.
    pub since: Micros,
    /// Whether it has to be a leaf.
    pub leaf_only: bool,
}

/// The trees as a [`Preference`] sees them.
#[derive(Clone, Copy, Debug)]
pub struct Trees<'a>(pub(crate) &'a Tree);

impl<'a> Trees<'a> {
    /// How the places hang together.
    pub fn forest(self) -> Forest {
        self.0.forest
    }

    /// Now, on the coordinator's clock.
    pub fn now(self) -> Micros {
        self.0.now
    }

    /// How many nodes have a place.
    pub fn placed(self) -> usize {
        self.0.placed()
    }

    /// All numbers of peers are below this.
    pub fn peers_end(self) -> usize {
        self.0.nodes.slots() + 1
    }

    /// The indices of all places that somebody has are below this.
    pub fn places_end(self) -> usize {
        self.0.places_end()
    }

    /// Who is there.
    pub fn at(self, place: Place) -> Option<Seated> {
        let seat = self.0.seat(place)?;
        Some(Seated { peer: Peer::of(seat.slot), since: seat.since, leaf_only: seat.ability.is_leaf() })
    }

    /// Who feeds that place, if anybody does.
    pub fn feeder(self, place: Place) -> Option<Peer> {
        self.0.feeder(place).map(Peer::of)
    }

    /// The node's name; that of the source for a number that nobody has.
    pub fn id_of(self, peer: Peer) -> NodeId {
        self.0.nodes.get(peer.slot()).map_or(NodeId::SOURCE, |node| node.id)
    }

    /// Where that node is; none when it has no place.
    pub fn place_of(self, peer: Peer) -> Option<Place> {
        let node = self.0.nodes.get(peer.slot())?;
        Some(node.place).filter(|place| *place != Place::NONE)
    }

    /// Whether whoever is there, if anybody, feeds nobody.
    pub fn is_leaf(self, place: Place) -> bool {
        self.0.is_leaf(place)
    }

    /// Empty places that somebody would feed, the shallowest first.
    pub fn open(self) -> impl Iterator<Item = Place> + use<'a> {
        self.0.open()
    }

    /// The same from a place on.
    pub fn open_from(self, place: Place) -> impl Iterator<Item = Place> + use<'a> {
        self.0.open_from(place)
    }

    /// Whether that place is empty and somebody would feed it.
    pub fn is_open(self, place: Place) -> bool {
        self.0.is_open(place)
    }
}
