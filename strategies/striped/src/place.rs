//! Places of a binary tree below the source.

/// Nobody is put deeper: far beyond what any audience needs, and the numbers fit.
const LEVEL_MAX: u32 = 60;

/// A place, numbered as in a heap: the source is 0, the root 1, below p are 2p and 2p + 1. So a smaller number is never
/// deeper.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place(pub(crate) u64);

impl Place {
    pub(crate) const SOURCE: Self = Self(0);
    pub(crate) const ROOT: Self = Self(1);

    /// How far it is from the root.
    pub(crate) fn level(self) -> u32 {
        self.0.checked_ilog2().unwrap_or(0)
    }

    /// The place of whoever feeds it; none for the source's.
    pub(crate) fn feeder(self) -> Option<Self> {
        (self != Self::SOURCE).then_some(Self(self.0 / 2))
    }

    /// The places fed from here in the normal case: the source's one, two of all others.
    pub(crate) fn children(self) -> impl Iterator<Item = Self> + Clone {
        let places = match self.0 {
            0 => 1..2,
            _ if self.level() == LEVEL_MAX => 0..0,
            place => 2 * place..2 * place + 2,
        };
        places.map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_related_as_in_a_heap_below_the_source() {
        assert!(Place::SOURCE.children().eq([Place(1)]) && Place(3).children().eq([Place(6), Place(7)]));
        assert_eq!([1, 3, 6].map(|place| Place(place).feeder()), [Some(Place(0)), Some(Place(1)), Some(Place(3))]);
        assert_eq!([1, 2, 3, 4].map(|place| Place(place).level()), [0, 1, 1, 2]);
        assert_eq!(Place(1 << LEVEL_MAX).children().count(), 0);
    }
}
