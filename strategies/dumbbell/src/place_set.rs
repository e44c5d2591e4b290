//! A set of places that finds its first member, or the next one, in a few steps however large it is.

use crate::place::Place;

/// Bits per word of a layer.
const WORD: usize = 64;

/// A bit per place, above them a bit per word of bits that is not zero, and so on up to a single word.
#[derive(Clone, Debug, Default)]
pub(crate) struct PlaceSet {
    layers: Vec<Vec<u64>>,
}

impl PlaceSet {
    pub(crate) fn insert(&mut self, place: Place) {
        self.make_room(place.index());
        let mut index = place.index();
        for layer in &mut self.layers {
            let word = &mut layer[index / WORD];
            let was_empty = *word == 0;
            *word |= 1 << (index % WORD);
            if !was_empty {
                return;
            }
            index /= WORD;
        }
    }

    pub(crate) fn remove(&mut self, place: Place) {
        let mut index = place.index();
        for layer in &mut self.layers {
            let Some(word) = layer.get_mut(index / WORD) else { return };
            let bit = 1 << (index % WORD);
            if *word & !bit != 0 || *word & bit == 0 {
                *word &= !bit;
                return;
            }
            *word = 0;
            index /= WORD;
        }
    }

    pub(crate) fn contains(&self, place: Place) -> bool {
        let word = self.layers.first().and_then(|layer| layer.get(place.index() / WORD));
        word.is_some_and(|word| word >> (place.index() % WORD) & 1 != 0)
    }

    pub(crate) fn first(&self) -> Option<Place> {
        self.next(0)
    }

    /// All members in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Place> {
        self.iter_from(Place(0))
    }

    /// All members from this place on.
    pub(crate) fn iter_from(&self, place: Place) -> impl Iterator<Item = Place> {
        std::iter::successors(self.next(place.index()), |place| self.next(place.index() + 1))
    }

    /// The first member from this index on.
    fn next(&self, from: usize) -> Option<Place> {
        let mut index = from;
        for (height, layer) in self.layers.iter().enumerate() {
            let word = layer.get(index / WORD)? >> (index % WORD);
            if word != 0 {
                return Some(self.descend(height, index + word.trailing_zeros() as usize));
            }
            index = index / WORD + 1;
        }
        None
    }

    /// The first place below a bit of a higher layer.
    fn descend(&self, height: usize, index: usize) -> Place {
        let first = |index: usize, layer: &Vec<u64>| index * WORD + layer[index].trailing_zeros() as usize;
        Place(self.layers[..height].iter().rev().fold(index, first) as u32)
    }

    fn make_room(&mut self, index: usize) {
        if self.layers.first().is_some_and(|layer| index / WORD < layer.len()) {
            return;
        }
        let mut words = index / WORD + 1;
        for height in 0.. {
            if height == self.layers.len() {
                let below = height.checked_sub(1).map(|below| &self.layers[below]);
                let summary = below.map(|below| summary(below)).unwrap_or_default();
                self.layers.push(summary);
            }
            let layer = &mut self.layers[height];
            layer.resize(words.max(layer.len()), 0);
            if layer.len() == 1 {
                return;
            }
            words = layer.len().div_ceil(WORD);
        }
    }
}

/// A bit per word that is not zero.
fn summary(layer: &[u64]) -> Vec<u64> {
    let bits = |words: &[u64]| words.iter().enumerate().fold(0, |bits, (at, word)| bits | u64::from(*word != 0) << at);
    layer.chunks(WORD).map(bits).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_an_ordered_set(
            steps in proptest::collection::vec((any::<bool>(), prop_oneof![0_u32..200, 0_u32..600_000]), 1..200)
        ) {
            let mut set = PlaceSet::default();
            let mut known = BTreeSet::new();
            for (insert, place) in steps {
                let place = Place(place);
                if insert {
                    set.insert(place);
                    known.insert(place);
                } else {
                    set.remove(place);
                    known.remove(&place);
                }
                prop_assert_eq!(set.first(), known.first().copied());
                prop_assert_eq!(set.contains(place), insert);
            }
            prop_assert!(set.iter_from(Place(100)).eq(known.range(Place(100)..).copied()));
            prop_assert!(set.iter().eq(known));
        }
    }
}
