//! Places: a position of the heap in one of the two trees.

use std::fmt;

/// A place. In the order in which places fill: A1, B1, A2, B2, A3, and so on.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place(u64);

impl Place {
    /// The two that the source feeds.
    pub const ROOTS: [Self; 2] = [Self(2), Self(3)];

    /// Position in the heap; 1 for the roots.
    pub fn position(self) -> u64 {
        self.0 >> 1
    }

    /// 0 for the roots; one more for each hop below them.
    pub fn level(self) -> u32 {
        self.position().ilog2()
    }

    /// The first place of a level.
    pub fn first_of(level: u32) -> Self {
        Self(2 << level)
    }

    /// The same position of the other tree.
    pub fn twin(self) -> Self {
        Self(self.0 ^ 1)
    }

    /// Whose occupant feeds this one; none for the roots.
    pub fn parent(self) -> Option<Self> {
        let position = self.position() / 2;
        (position > 0).then_some(Self(position * 2 + self.side()))
    }

    /// Whose occupants this one feeds.
    pub fn children(self) -> [Self; 2] {
        [0, 1].map(|which| Self((self.position() * 2 + which) * 2 + self.side()))
    }

    /// The places above this one in the other tree, nearest first.
    pub fn across(self) -> impl Iterator<Item = Self> {
        std::iter::successors(self.twin().parent(), |place| place.parent())
    }

    fn side(self) -> u64 {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_related_as_in_two_heaps() {
        let [a1, b1] = Place::ROOTS;
        let [a2, a3] = a1.children();
        assert_eq!(format!("{a1} {b1} {a2} {a3} {}", a3.twin().children()[1]), "A1 B1 A2 A3 B7");
        assert_eq!((a1.parent(), a2.parent(), a3.level(), a1.level()), (None, Some(a1), 1, 0));
        assert_eq!((Place::first_of(0), Place::first_of(1)), (a1, a2));
        assert!(a1 < b1 && b1 < a2 && a2 < a2.twin() && a2.twin() < a3);
        assert_eq!(a2.children()[0].across().collect::<Vec<_>>(), [a2.twin(), b1]);
    }
}
