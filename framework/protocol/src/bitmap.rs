//! A set of piece numbers of one segment.

use serde::{Deserialize, Serialize};

/// At most this many pieces make a segment.
pub const PIECES_MAX: usize = 256;

/// Piece numbers 0..256 as bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Bitmap([u64; 4]);

impl Bitmap {
    /// The set of the first `count` pieces.
    pub fn first(count: usize) -> Self {
        let mut set = Self::default();
        (0..count.min(PIECES_MAX)).for_each(|index| {
            set.insert(index as u8);
        });
        set
    }

    /// Adds a piece; true when it was not in the set.
    pub fn insert(&mut self, index: u8) -> bool {
        let (word, bit) = (usize::from(index / 64), 1u64 << (index % 64));
        let new = self.0[word] & bit == 0;
        self.0[word] |= bit;
        new
    }

    /// Whether the piece is in the set.
    pub fn contains(&self, index: u8) -> bool {
        self.0[usize::from(index / 64)] & (1 << (index % 64)) != 0
    }

    /// How many pieces are in the set.
    pub fn len(&self) -> usize {
        self.0.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// Whether no piece is in the set.
    pub fn is_empty(&self) -> bool {
        self.0 == [0; 4]
    }

    /// Adds all pieces of `other`.
    pub fn union(&mut self, other: &Self) {
        self.0.iter_mut().zip(other.0).for_each(|(word, more)| *word |= more);
    }

    /// The lowest piece of this set that is not in `other`.
    pub fn first_not_in(&self, other: &Self) -> Option<u8> {
        self.0.iter().zip(other.0).enumerate().find_map(|(word, (have, done))| {
            let open = have & !done;
            (open != 0).then(|| (word * 64) as u8 + open.trailing_zeros() as u8)
        })
    }
}
