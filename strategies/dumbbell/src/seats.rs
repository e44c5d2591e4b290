//! Who sits at each place, with what a neighbour asks about them, in one array.
//!
//! Most of what is decided about a place depends on its twin, its parent and its grandparent: their slots and names, their age,
//! whether they relay. All that is in their seats, and a dumbbell fills one cache line.

use peerstream_sdk::protocol::id::NodeId;
use peerstream_sdk::protocol::time::Micros;

use crate::node::{Ability, Cause, Slot};
use crate::place::Place;

/// A place and who is there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seat {
    /// The occupant; [`Slot::NONE`] when the place is empty, and then nothing else here means anything.
    pub(crate) slot: Slot,
    /// When the occupant came to the place, in seconds.
    pub(crate) placed_s: u32,
    pub(crate) id: NodeId,
    pub(crate) since: Micros,
    pub(crate) cause: Cause,
    pub(crate) ability: Ability,
}

impl Seat {
    const EMPTY: Self = Self {
        slot: Slot::NONE,
        placed_s: 0,
        id: NodeId(0),
        since: Micros(0),
        cause: Cause::Joined,
        ability: Ability::Weak,
    };

    /// Older is less; ties go by name.
    pub(crate) fn age(&self) -> (Micros, NodeId) {
        (self.since, self.id)
    }
}

/// Both places of a position, in one cache line.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
struct Pair([Seat; 2]);

/// All places up to the last one that was ever taken.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seats {
    pairs: Vec<Pair>,
}

impl Seats {
    /// The indices of all places that were ever taken are below this.
    pub(crate) fn end(&self) -> usize {
        self.pairs.len() * 2
    }

    /// The seat there, if it is taken.
    pub(crate) fn get(&self, place: Place) -> Option<&Seat> {
        let seat = &self.pairs.get(place.index() / 2)?.0[place.index() % 2];
        (seat.slot != Slot::NONE).then_some(seat)
    }

    /// The same, to be changed.
    pub(crate) fn get_mut(&mut self, place: Place) -> Option<&mut Seat> {
        let seat = &mut self.pairs.get_mut(place.index() / 2)?.0[place.index() % 2];
        (seat.slot != Slot::NONE).then_some(seat)
    }

    /// Seats somebody at an empty place.
    pub(crate) fn fill(&mut self, place: Place, seat: Seat) {
        let pair = place.index() / 2;
        if pair >= self.pairs.len() {
            let missing = pair + 1 - self.pairs.len();
            if self.pairs.capacity() <= pair {
                // By a quarter, not by half, to waste less.
                self.pairs.reserve_exact(missing.max(self.pairs.len() / 4 + 8));
            }
            self.pairs.resize(pair + 1, Pair([Seat::EMPTY; 2]));
        }
        self.pairs[pair].0[place.index() % 2] = seat;
    }

    /// Leaves the place empty.
    pub(crate) fn clear(&mut self, place: Place) {
        if let Some(pair) = self.pairs.get_mut(place.index() / 2) {
            pair.0[place.index() % 2] = Seat::EMPTY;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dumbbell_fills_one_cache_line() {
        assert_eq!((size_of::<Pair>(), align_of::<Pair>()), (64, 64));
    }
}
