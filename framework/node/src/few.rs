//! A map of a handful of entries.

use std::iter::{Zip, zip};
use std::slice::{Iter, IterMut};

/// A sorted map of few entries, keys and values each side by side in memory. A node looks through all of its links with
/// every frame; a tree of them would cost several times as much.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Few<K, V> {
    keys: Vec<K>,
    values: Vec<V>,
}

impl<K, V> Default for Few<K, V> {
    fn default() -> Self {
        Self { keys: Vec::new(), values: Vec::new() }
    }
}

impl<K: Ord, V> Few<K, V> {
    fn find(&self, key: &K) -> Result<usize, usize> {
        // Few enough to be looked at one by one.
        let at = self.keys.iter().position(|known| known >= key).unwrap_or(self.keys.len());
        if self.keys.get(at) == Some(key) { Ok(at) } else { Err(at) }
    }

    pub(crate) fn contains_key(&self, key: &K) -> bool {
        self.keys.contains(key)
    }

    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        self.find(key).ok().map(|at| &self.values[at])
    }

    pub(crate) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.find(key).ok().map(|at| &mut self.values[at])
    }

    /// Sets a value.
    pub(crate) fn insert(&mut self, key: K, value: V) {
        match self.find(&key) {
            Ok(at) => self.values[at] = value,
            Err(at) => self.insert_at(at, key, value),
        }
    }

    fn insert_at(&mut self, at: usize, key: K, value: V) {
        self.keys.insert(at, key);
        self.values.insert(at, value);
    }

    /// The value of a key; a new one is made by `make` when there is none.
    pub(crate) fn get_or_insert_with(&mut self, key: K, make: impl FnOnce() -> V) -> &mut V {
        let at = self.find(&key).unwrap_or_else(|at| {
            self.insert_at(at, key, make());
            at
        });
        &mut self.values[at]
    }

    pub(crate) fn remove(&mut self, key: &K) -> Option<V> {
        let at = self.find(key).ok()?;
        self.keys.remove(at);
        Some(self.values.remove(at))
    }

    pub(crate) fn clear(&mut self) {
        self.keys.clear();
        self.values.clear();
    }

    /// Keeps the entries of which `stays` says so, asked in order.
    pub(crate) fn retain(&mut self, mut stays: impl FnMut(&K, &mut V) -> bool) {
        let mut at = 0;
        while at < self.keys.len() {
            if stays(&self.keys[at], &mut self.values[at]) {
                at += 1;
            } else {
                self.keys.remove(at);
                self.values.remove(at);
            }
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.keys.len()
    }

    pub(crate) fn keys(&self) -> Iter<'_, K> {
        self.keys.iter()
    }

    pub(crate) fn values(&self) -> Iter<'_, V> {
        self.values.iter()
    }

    pub(crate) fn values_mut(&mut self) -> IterMut<'_, V> {
        self.values.iter_mut()
    }

    pub(crate) fn iter(&self) -> Zip<Iter<'_, K>, Iter<'_, V>> {
        zip(&self.keys, &self.values)
    }

    pub(crate) fn iter_mut(&mut self) -> Zip<Iter<'_, K>, IterMut<'_, V>> {
        zip(&self.keys, &mut self.values)
    }
}

impl<K: Ord, V> FromIterator<(K, V)> for Few<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        let mut few = Self::default();
        entries.into_iter().for_each(|(key, value)| few.insert(key, value));
        few
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn few_entries_behave_like_a_sorted_map(steps in prop::collection::vec((0_u8..6, 0_u8..12, any::<u16>()), 0..80)) {
            let (mut few, mut map) = (Few::default(), BTreeMap::new());
            for (step, key, value) in steps {
                match step {
                    0 | 1 => {
                        few.insert(key, value);
                        map.insert(key, value);
                    }
                    2 => prop_assert_eq!(few.remove(&key), map.remove(&key)),
                    3 => prop_assert_eq!(*few.get_or_insert_with(key, || value), *map.entry(key).or_insert(value)),
                    4 => {
                        few.retain(|known, kept| *known != key && *kept != value);
                        map.retain(|known, kept| *known != key && *kept != value);
                    }
                    _ => prop_assert_eq!(few.get_mut(&key), map.get_mut(&key)),
                }
                prop_assert!(few.iter().eq(&map) && few.len() == map.len());
                prop_assert_eq!((few.get(&key), few.contains_key(&key)), (map.get(&key), map.contains_key(&key)));
            }
        }
    }
}
