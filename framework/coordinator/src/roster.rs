//! A map for names that are given one after another.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::ops::Index;

use peerstream_protocol::id::NodeId;

use crate::io::ConnId;

/// Names in one page; a power of two, at most 64.
const PAGE: u64 = 64;

/// A map from names to values, in the order of the names.
///
/// Names are given one after another, so a page of them is found by its number and a name by its bit in the page. With
/// a million names that takes a third of the time a tree of all names takes, and no memory for places that are empty.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Roster<K, T> {
    pages: BTreeMap<u64, Page<T>>,
    len: usize,
    named: PhantomData<K>,
}

/// A name that is a number underneath.
pub(crate) trait Name: Copy {
    /// The number.
    fn number(self) -> u64;
    /// The name of a number.
    fn of(number: u64) -> Self;
}

impl Name for NodeId {
    fn number(self) -> u64 {
        self.0
    }

    fn of(number: u64) -> Self {
        Self(number)
    }
}

impl Name for ConnId {
    fn number(self) -> u64 {
        self.0
    }

    fn of(number: u64) -> Self {
        Self(number)
    }
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct Page<T> {
    present: u64,
    values: Vec<T>,
}

impl<T> Page<T> {
    fn bit(name: u64) -> u64 {
        1 << (name % PAGE)
    }

    fn has(&self, name: u64) -> bool {
        self.present & Self::bit(name) != 0
    }

    /// Where the value is, or would be.
    fn rank(&self, name: u64) -> usize {
        (self.present & (Self::bit(name) - 1)).count_ones() as usize
    }
}

impl<K, T> Default for Roster<K, T> {
    fn default() -> Self {
        Self { pages: BTreeMap::new(), len: 0, named: PhantomData }
    }
}

impl<K: Name + fmt::Debug, T: fmt::Debug> fmt::Debug for Roster<K, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl<K: Name, T> Roster<K, T> {
    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The value of a name.
    pub(crate) fn get(&self, name: K) -> Option<&T> {
        let page = self.pages.get(&(name.number() / PAGE)).filter(|page| page.has(name.number()))?;
        page.values.get(page.rank(name.number()))
    }

    /// The value of a name, to be changed.
    pub(crate) fn get_mut(&mut self, name: K) -> Option<&mut T> {
        let page = self.pages.get_mut(&(name.number() / PAGE)).filter(|page| page.has(name.number()))?;
        let rank = page.rank(name.number());
        page.values.get_mut(rank)
    }

    /// Whether there is a value of that name.
    pub(crate) fn contains(&self, name: K) -> bool {
        self.pages.get(&(name.number() / PAGE)).is_some_and(|page| page.has(name.number()))
    }

    /// Sets the value of a name; gives back the one before.
    pub(crate) fn insert(&mut self, name: K, value: T) -> Option<T> {
        let page = self.pages.entry(name.number() / PAGE).or_insert(Page { present: 0, values: Vec::new() });
        let rank = page.rank(name.number());
        if page.has(name.number()) {
            return Some(std::mem::replace(&mut page.values[rank], value));
        }
        page.present |= Page::<T>::bit(name.number());
        page.values.insert(rank, value);
        self.len += 1;
        None
    }

    /// Takes a value out.
    pub(crate) fn remove(&mut self, name: K) -> Option<T> {
        let number = name.number() / PAGE;
        let page = self.pages.get_mut(&number).filter(|page| page.has(name.number()))?;
        let value = page.values.remove(page.rank(name.number()));
        page.present &= !Page::<T>::bit(name.number());
        self.len -= 1;
        if page.values.is_empty() {
            self.pages.remove(&number);
        } else if page.values.len() * 2 <= page.values.capacity() {
            page.values.shrink_to_fit();
        }
        Some(value)
    }

    /// Names and values in the order of the names.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (K, &T)> {
        self.pages.iter().flat_map(|(number, page)| names::<K>(*number, page.present).zip(&page.values))
    }

    /// The names in order.
    pub(crate) fn keys(&self) -> impl Iterator<Item = K> {
        self.iter().map(|(name, _)| name)
    }

    /// The values in the order of the names.
    pub(crate) fn values(&self) -> impl Iterator<Item = &T> {
        self.pages.values().flat_map(|page| &page.values)
    }

    /// Names and values in order, from this name on.
    pub(crate) fn iter_from(&self, name: K) -> impl Iterator<Item = (K, &T)> {
        let from = name.number();
        let pages = self.pages.range(from / PAGE..);
        let all = pages.flat_map(|(number, page)| names::<K>(*number, page.present).zip(&page.values));
        all.skip_while(move |(name, _)| name.number() < from)
    }
}

impl<K: Name, T> Index<K> for Roster<K, T> {
    type Output = T;

    fn index(&self, name: K) -> &T {
        self.get(name).expect("a name that is in the roster")
    }
}

/// The names of a page.
fn names<K: Name>(number: u64, present: u64) -> impl Iterator<Item = K> {
    (0..PAGE).filter(move |bit| present & (1 << bit) != 0).map(move |bit| K::of(number * PAGE + bit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_roster_is_a_sorted_map() {
        let mut roster = Roster::<NodeId, u64>::default();
        let mut map = BTreeMap::new();
        let mut chance = 1_u64;
        for step in 0..20_000_u64 {
            chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let node = NodeId(if chance & (1 << 40) == 0 { (chance >> 33) % 300 } else { (7 << 32) | (step / 8) });
            if (chance >> 45).is_multiple_of(3) {
                assert_eq!(roster.remove(node), map.remove(&node));
            } else {
                assert_eq!(roster.insert(node, step), map.insert(node, step));
            }
            assert_eq!((roster.get(node), roster.contains(node)), (map.get(&node), map.contains_key(&node)));
            assert_eq!(roster.len(), map.len());
        }
        assert!(roster.iter().eq(map.iter().map(|(node, value)| (*node, value))));
        assert!(roster.keys().eq(map.keys().copied()) && roster.values().eq(map.values()));
        for from in (0..300).map(NodeId) {
            assert!(roster.iter_from(from).eq(map.range(from..).map(|(node, value)| (*node, value))));
        }
    }
}
