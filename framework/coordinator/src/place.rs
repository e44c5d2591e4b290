//! What was issued to one node and what it confirmed, for the stripes that come from one parent.

use peerstream_overlay::maybe::Maybe;
use peerstream_protocol::id::{NodeId, Stripes};
use peerstream_protocol::time::Micros;
use smallvec::SmallVec;

use crate::few::Few;

/// Stands for "named by the assignment in force" in [`Place::possible`].
pub(crate) const NAMED: u64 = u64::MAX;

/// A node's place below one parent. A node that gets the whole stream from one has one place.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Place {
    pub(crate) stripes: Stripes,
    /// It has been told to take a parent before.
    pub(crate) placed: bool,
    /// The parent it was told to take.
    pub(crate) issued: Maybe<NodeId>,
    /// The version that first told it so; none before that is sent.
    pub(crate) issued_in: Maybe<u64>,
    /// That parent cannot have been feeding it from earlier on.
    pub(crate) fresh: bool,
    /// It has said that this parent feeds it.
    pub(crate) confirmed: bool,
    /// Since when this parent says that it feeds it.
    pub(crate) claimed: Maybe<Micros>,
    /// Who may be feeding it, with the last version of its assignment that named that parent.
    pub(crate) possible: Few<u64>,
}

impl Place {
    fn new(stripes: Stripes) -> Self {
        Self {
            stripes,
            placed: false,
            issued: Maybe::default(),
            issued_in: Maybe::default(),
            fresh: false,
            confirmed: false,
            claimed: Maybe::default(),
            possible: Few::default(),
        }
    }

    /// The node is not told any more to take its issued parent, which is given back; data may flow for a while.
    pub(crate) fn unissue(&mut self, version: u64) -> Option<NodeId> {
        let old = self.issued.take();
        if let Some(old) = old {
            self.possible.insert(old, version);
        }
        (self.issued_in, self.confirmed, self.claimed) = (Maybe::default(), false, Maybe::default());
        old
    }

    /// Takes in another place of the node, below the same parent.
    fn join(&mut self, other: &Self) {
        self.stripes = self.stripes.with(other.stripes);
        for (feeder, last) in other.possible.iter() {
            let known = self.possible.get(feeder).unwrap_or(0);
            self.possible.insert(feeder, known.max(last));
        }
        self.placed |= other.placed;
        self.fresh &= other.fresh;
        self.confirmed &= other.confirmed;
        self.issued_in = self.issued_in.get().zip(other.issued_in.get()).map(|(one, other)| one.max(other)).into();
        self.claimed = Maybe::default();
    }

    /// That one feeds it no more.
    pub(crate) fn forget(&mut self, feeder: NodeId) {
        self.possible.remove(feeder);
    }

    /// The parent it was told to take claims to feed it, and it does not say so.
    pub(crate) fn is_overdue(&self) -> bool {
        self.claimed.is_some()
    }
}

/// The places of a node. Together they are the whole stream, and no stripe is in two.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Places(SmallVec<[Place; 1]>);

impl Default for Places {
    fn default() -> Self {
        Self(SmallVec::from_iter([Place::new(Stripes::ALL)]))
    }
}

impl Places {
    pub(crate) fn iter(&self) -> std::slice::Iter<'_, Place> {
        self.0.iter()
    }

    pub(crate) fn iter_mut(&mut self) -> std::slice::IterMut<'_, Place> {
        self.0.iter_mut()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Those that have any of these stripes.
    pub(crate) fn of(&self, stripes: Stripes) -> impl Iterator<Item = &Place> {
        self.iter().filter(move |place| place.stripes.meets(stripes))
    }

    /// The same, to be changed.
    pub(crate) fn of_mut(&mut self, stripes: Stripes) -> impl Iterator<Item = &mut Place> {
        self.iter_mut().filter(move |place| place.stripes.meets(stripes))
    }

    /// Who may be feeding which of these stripes.
    pub(crate) fn ways(&self, stripes: Stripes) -> impl Iterator<Item = (NodeId, Stripes)> {
        self.of(stripes).flat_map(move |place| {
            let carried = place.stripes.and(stripes);
            place.possible.keys().map(move |feeder| (feeder, carried))
        })
    }

    /// The parents it was told to take, and for which stripes.
    pub(crate) fn parents(&self) -> impl Iterator<Item = (NodeId, Stripes)> {
        self.iter().filter_map(|place| Some((place.issued.get()?, place.stripes)))
    }

    /// Whether it was told to take that parent for any stripe.
    pub(crate) fn has_issued(&self, parent: NodeId) -> bool {
        self.iter().any(|place| place.issued.get() == Some(parent))
    }

    /// Deals the stripes as these parents have them. Places that become one go on apart as long as the node is told to take
    /// different parents in them.
    pub(crate) fn deal(&mut self, parents: &[(NodeId, Stripes)]) {
        let fed = parents.iter().fold(Stripes::NONE, |all, (_, stripes)| all.with(*stripes));
        let rest = Some(Stripes::ALL.without(fed)).filter(|rest| !rest.is_empty());
        let dealt: SmallVec<[Stripes; 2]> = parents.iter().map(|(_, stripes)| *stripes).chain(rest).collect();
        if dealt.len() == self.len() && dealt.iter().all(|stripes| self.iter().any(|place| place.stripes == *stripes)) {
            return;
        }
        let mut places: SmallVec<[Place; 1]> = SmallVec::new();
        for stripes in dealt {
            let first = places.len();
            for part in self.of(stripes) {
                let part = Place { stripes: part.stripes.and(stripes), ..part.clone() };
                match places[first..].iter_mut().find(|place| place.issued == part.issued) {
                    Some(place) => place.join(&part),
                    None => places.push(part),
                }
            }
        }
        self.0 = places;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVEN: Stripes = Stripes(1);
    const ODD: Stripes = Stripes(2);

    fn issued(parent: u64) -> Places {
        let mut places = Places::default();
        for place in places.iter_mut() {
            (place.issued, place.confirmed, place.placed) = (Some(NodeId(parent)).into(), true, true);
            place.possible.insert(NodeId(parent), NAMED);
        }
        places
    }

    #[test]
    fn a_place_that_is_split_goes_on_in_both_parts_and_becomes_one_again() {
        let mut places = issued(7);
        places.deal(&[(NodeId(7), EVEN), (NodeId(8), ODD)]);
        assert!(places.parents().eq([(NodeId(7), EVEN), (NodeId(7), ODD)]));
        assert!(places.ways(ODD).eq([(NodeId(7), ODD)]));
        assert!(places.iter().all(|place| place.confirmed));
        places.deal(&[(NodeId(7), Stripes::ALL)]);
        assert!(places.parents().eq([(NodeId(7), Stripes::ALL)]));
    }

    #[test]
    fn places_below_two_parents_stay_apart_until_both_are_below_the_new_one() {
        let mut places = issued(7);
        places.deal(&[(NodeId(7), EVEN), (NodeId(8), ODD)]);
        let issue = |places: &mut Places, stripes, parent| {
            for place in places.of_mut(stripes) {
                place.unissue(3);
                place.issued = Some(NodeId(parent)).into();
                place.possible.insert(NodeId(parent), NAMED);
            }
        };
        issue(&mut places, ODD, 8);
        let to = [(NodeId(9), Stripes::ALL)];
        places.deal(&to);
        assert!(places.parents().eq([(NodeId(7), EVEN), (NodeId(8), ODD)]), "nobody is let go before there is another");
        issue(&mut places, ODD, 9);
        places.deal(&to);
        assert_eq!(places.len(), 2);
        issue(&mut places, EVEN, 9);
        places.deal(&to);
        assert!(places.parents().eq([(NodeId(9), Stripes::ALL)]));
        let ways: Vec<_> = places.ways(Stripes::ALL).map(|(feeder, _)| feeder.0).collect();
        assert_eq!(ways, [7, 8, 9], "all may still feed it");
    }

    #[test]
    fn stripes_without_a_parent_are_a_place_of_their_own() {
        let mut places = Places::default();
        places.deal(&[(NodeId(1), ODD)]);
        assert!(places.iter().map(|place| place.stripes).eq([ODD, EVEN]));
        places.deal(&[]);
        assert!(places.iter().map(|place| place.stripes).eq([Stripes::ALL]));
    }
}
