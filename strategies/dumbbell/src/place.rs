//! Places: a position of the forest in one of the two trees.

use std::fmt;

/// There are no more places than this. Newcomers go to the shallowest one, so no audience comes near.
const PLACES_MAX: u32 = 1 << 28;
/// The source feeds at most this many dumbbells itself.
pub const ROOT_PAIRS_MAX: u32 = 8;

/// A place. In the order in which places fill: A1, B1, A2, B2, A3, and so on.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place(pub(crate) u32);

impl Place {
    /// Nowhere.
    pub(crate) const NONE: Self = Self(u32::MAX);

    /// Position in its tree; 1 for the first root.
    pub fn position(self) -> u32 {
        self.0 / 2 + 1
    }

    /// The same position of the other tree.
    pub fn twin(self) -> Self {
        Self(self.0 ^ 1)
    }

    /// Where it is in the order in which places fill; 0 for A1.
    pub fn index(self) -> usize {
        self.0 as usize
    }

    /// The place with that index.
    pub fn of(index: usize) -> Self {
        Self(u32::try_from(index).unwrap_or(u32::MAX))
    }

    /// 0 in tree A, 1 in tree B.
    fn side(self) -> u32 {
        self.0 & 1
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", if self.side() == 0 { 'A' } else { 'B' }, self.position())
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// How places hang together: `pairs` dumbbells at the top, two places below each place.
///
/// With n pairs, positions 1 to n are the roots, and position p has positions 2p + n - 1 and 2p + n below it. One pair
/// makes each tree the usual binary heap. With a single root A1 feeds B1, and the source feeds A1 alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forest {
    pairs: u32,
    single_root: bool,
}

impl Forest {
    /// As many dumbbells at the top as a source can feed that has room for `children`; half of one if it has room for
    /// a single child.
    pub fn new(children: usize) -> Self {
        let pairs = (children as u32 / 2).clamp(1, ROOT_PAIRS_MAX);
        Self { pairs, single_root: children < 2 }
    }

    /// Whether A1 feeds B1.
    pub fn has_single_root(self) -> bool {
        self.single_root
    }

    /// The places that the source feeds.
    pub fn roots(self) -> impl Iterator<Item = Place> {
        let places = if self.single_root { 1 } else { self.pairs * 2 };
        (0..places).map(Place)
    }

    /// 0 for the positions at the top; one more for each below.
    pub fn level(self, place: Place) -> u32 {
        (self.rank(place) / self.pairs).ilog2()
    }

    /// The first place of a level.
    pub fn first_of(self, level: u32) -> Place {
        Place(self.pairs * 2 * ((1 << level) - 1))
    }

    /// How many places there are on the levels above this one.
    pub fn places_above(self, level: u32) -> usize {
        self.first_of(level).index()
    }

    /// Whose occupant feeds this place; none for those that the source feeds.
    pub fn parent(self, place: Place) -> Option<Place> {
        if self.single_root && place == Place(1) { Some(Place(0)) } else { self.above(place) }
    }

    /// The places that the occupant of this one feeds.
    pub fn children(self, place: Place) -> impl Iterator<Item = Place> {
        let below = (place.0 < PLACES_MAX / 4).then(|| self.below(place));
        let other_root = (self.single_root && place == Place(0)).then_some(Place(1));
        below.into_iter().flatten().chain(other_root)
    }

    /// The places above this one's twin, nearest first.
    pub fn across(self, place: Place) -> impl Iterator<Item = Place> {
        std::iter::successors(self.above(place.twin()), move |place| self.above(*place))
    }

    /// Whether what reaches `place` comes by at `root`; a place is below itself.
    pub fn is_below(self, place: Place, root: Place) -> bool {
        if place.side() != root.side() {
            return self.single_root && root == Place(0);
        }
        let levels = self.level(place).checked_sub(self.level(root));
        levels.is_some_and(|levels| self.rank(place) >> levels == self.rank(root))
    }

    /// A number that halves, rounded down, with each level up.
    fn rank(self, place: Place) -> u32 {
        place.0 / 2 + self.pairs
    }

    fn below(self, place: Place) -> [Place; 2] {
        let position = place.0 / 2 * 2 + self.pairs;
        [Place(position * 2 + place.side()), Place(position * 2 + 2 + place.side())]
    }

    fn above(self, place: Place) -> Option<Place> {
        let position = (place.0 / 2).checked_sub(self.pairs)? / 2;
        Some(Place(position * 2 + place.side()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(name: &str) -> Place {
        let position: u32 = name[1..].parse().unwrap();
        Place((position - 1) * 2 + u32::from(name.starts_with('B')))
    }

    fn names(places: impl Iterator<Item = Place>) -> String {
        places.map(|place| place.to_string()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn places_are_related_as_in_two_heaps() {
        let forest = Forest::new(2);
        assert_eq!(names(forest.roots()), "A1 B1");
        assert_eq!(names(forest.children(place("A3"))), "A6 A7");
        assert_eq!(forest.parent(place("B7")), Some(place("B3")));
        assert_eq!((forest.parent(place("A1")), forest.level(place("A1")), forest.level(place("B4"))), (None, 0, 2));
        assert_eq!((forest.first_of(0), forest.first_of(2)), (place("A1"), place("A4")));
        assert_eq!(names(forest.across(place("A5"))), "B2 B1");
        assert!(forest.is_below(place("A5"), place("A1")) && !forest.is_below(place("B5"), place("A1")));
    }

    #[test]
    fn a_source_with_room_for_more_feeds_several_dumbbells() {
        let forest = Forest::new(7);
        assert_eq!(names(forest.roots()), "A1 B1 A2 B2 A3 B3");
        assert_eq!(names(forest.children(place("B2"))), "B6 B7");
        assert_eq!(forest.parent(place("A9")), Some(place("A3")));
        assert_eq!([3, 4, 9, 10].map(|position| forest.level(Place((position - 1) * 2))), [0, 1, 1, 2]);
        assert_eq!((forest.first_of(1), forest.first_of(2)), (place("A4"), place("A10")));
    }

    #[test]
    fn a_place_is_below_those_that_one_comes_by_on_the_way_up() {
        for forest in [1, 2, 3, 7, 16].map(Forest::new) {
            for place in (0..150).map(Place) {
                let way_up: Vec<_> = std::iter::successors(Some(place), |place| forest.parent(*place)).collect();
                for root in (0..150).map(Place) {
                    let below = way_up.contains(&root);
                    assert_eq!(forest.is_below(place, root), below, "{place} below {root} in {forest:?}");
                }
            }
        }
    }

    #[test]
    fn a_source_with_room_for_one_feeds_a1_which_feeds_b1() {
        let forest = Forest::new(1);
        assert_eq!(names(forest.roots()), "A1");
        assert_eq!(names(forest.children(place("A1"))), "A2 A3 B1");
        assert_eq!(names(forest.across(place("A2"))), "B1");
        assert!(forest.is_below(place("B3"), place("A1")));
    }
}
