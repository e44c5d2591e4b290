//! A map for names that are given one after another, such as [`NodeId`](peerstream_protocol::id::NodeId).

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::ops::Index;

use crate::maybe::Number;

/// Names in one page; a power of two, at most 64.
const PAGE: u64 = 64;
/// Pages in one chapter, at most.
const CHAPTER: u64 = 256;

/// A map from names to values, in the order of the names.
///
/// Names are given one after another. A chapter is found in a tree with few entries, a page by its number in the chapter, a
/// name by its bit in the page. There is no memory for names that are not there, but 32 bytes for a page without any
/// in a chapter with some.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Roster<K, T> {
    chapters: BTreeMap<u64, Chapter<T>>,
    len: usize,
    named: PhantomData<K>,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct Chapter<T> {
    /// As many as were ever needed.
    pages: Vec<Page<T>>,
    len: usize,
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
        Self { chapters: BTreeMap::new(), len: 0, named: PhantomData }
    }
}

impl<K: Number + fmt::Debug, T: fmt::Debug> fmt::Debug for Roster<K, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

/// The chapter of a name, and the page in it.
fn place(name: u64) -> (u64, usize) {
    (name / PAGE / CHAPTER, (name / PAGE % CHAPTER) as usize)
}

impl<K: Number, T> Roster<K, T> {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The value of a name.
    pub fn get(&self, name: K) -> Option<&T> {
        let page = self.page(name.number())?;
        page.values.get(page.rank(name.number()))
    }

    /// The value of a name, to be changed.
    pub fn get_mut(&mut self, name: K) -> Option<&mut T> {
        let (chapter, page) = place(name.number());
        let page = self.chapters.get_mut(&chapter)?.pages.get_mut(page).filter(|page| page.has(name.number()))?;
        let rank = page.rank(name.number());
        page.values.get_mut(rank)
    }

    /// Whether there is a value of that name.
    pub fn contains(&self, name: K) -> bool {
        self.page(name.number()).is_some()
    }

    /// The page that has that name.
    fn page(&self, name: u64) -> Option<&Page<T>> {
        let (chapter, page) = place(name);
        self.chapters.get(&chapter)?.pages.get(page).filter(|page| page.has(name))
    }

    /// Sets the value of a name; gives back the one before.
    pub fn insert(&mut self, name: K, value: T) -> Option<T> {
        let name = name.number();
        let (chapter, at) = place(name);
        let chapter = self.chapters.entry(chapter).or_insert(Chapter { pages: Vec::new(), len: 0 });
        if chapter.pages.len() <= at {
            chapter.pages.resize_with(at + 1, || Page { present: 0, values: Vec::new() });
        }
        let page = &mut chapter.pages[at];
        let rank = page.rank(name);
        if page.has(name) {
            return Some(std::mem::replace(&mut page.values[rank], value));
        }
        page.present |= Page::<T>::bit(name);
        page.values.insert(rank, value);
        chapter.len += 1;
        self.len += 1;
        None
    }

    /// Takes a value out.
    pub fn remove(&mut self, name: K) -> Option<T> {
        let name = name.number();
        let (number, at) = place(name);
        let chapter = self.chapters.get_mut(&number)?;
        let page = chapter.pages.get_mut(at).filter(|page| page.has(name))?;
        let value = page.values.remove(page.rank(name));
        page.present &= !Page::<T>::bit(name);
        if page.values.len() * 2 <= page.values.capacity() {
            page.values.shrink_to_fit();
        }
        chapter.len -= 1;
        self.len -= 1;
        if chapter.len == 0 {
            self.chapters.remove(&number);
        }
        Some(value)
    }

    /// Names and values in the order of the names.
    pub fn iter(&self) -> impl Iterator<Item = (K, &T)> {
        self.iter_from(K::of(0))
    }

    /// The names in order.
    pub fn keys(&self) -> impl Iterator<Item = K> {
        self.iter().map(|(name, _)| name)
    }

    /// The values in the order of the names.
    pub fn values(&self) -> impl Iterator<Item = &T> {
        self.chapters.values().flat_map(|chapter| &chapter.pages).flat_map(|page| &page.values)
    }

    /// Names and values in order, from this name on.
    pub fn iter_from(&self, name: K) -> impl Iterator<Item = (K, &T)> {
        let from = name.number();
        let (first, page) = place(from);
        let pages = self.chapters.range(first..).flat_map(move |(number, chapter)| {
            let skipped = if *number == first { page } else { 0 };
            (number * CHAPTER..).zip(&chapter.pages).skip(skipped)
        });
        let all = pages.flat_map(|(number, page)| names::<K>(number, page.present).zip(&page.values));
        all.skip_while(move |(name, _)| name.number() < from)
    }
}

impl<K: Number, T> Index<K> for Roster<K, T> {
    type Output = T;

    fn index(&self, name: K) -> &T {
        self.get(name).expect("a name that is in the roster")
    }
}

/// The names of a page.
fn names<K: Number>(number: u64, present: u64) -> impl Iterator<Item = K> {
    (0..PAGE).filter(move |bit| present & (1 << bit) != 0).map(move |bit| K::of(number * PAGE + bit))
}

#[cfg(test)]
mod tests {
    use peerstream_protocol::id::NodeId;

    use super::*;

    #[test]
    fn a_roster_is_a_sorted_map() {
        let mut roster = Roster::<NodeId, u64>::default();
        let mut map = BTreeMap::new();
        let mut chance = 1_u64;
        for step in 0..20_000_u64 {
            chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let node = NodeId(if chance & (1 << 40) == 0 { (chance >> 33) % 40_000 } else { (7 << 32) | (step / 8) });
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
        for from in (0..40_000).step_by(7).map(NodeId) {
            assert!(roster.iter_from(from).eq(map.range(from..).map(|(node, value)| (*node, value))));
        }
    }
}
