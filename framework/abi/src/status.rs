//! How a call ends.

/// What a call gives back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status(pub i32);

impl Status {
    /// Done; what was written is the answer.
    pub const OK: Self = Self(0);
    /// The answer comes by `complete`.
    pub const PENDING: Self = Self(1);
    /// The first of the failures that have a class: -1 is the first class, and so on in the order of `ErrorClass`. What was
    /// written is a [`Failure`](crate::message::Failure).
    pub const FAILED_FIRST: Self = Self(-1);
    /// It panicked; the instance is not used again.
    pub const PANICKED: Self = Self(-100);
    /// It panicked before.
    pub const POISONED: Self = Self(-101);

    /// The failure of the class with this index.
    pub const fn failed(class: usize) -> Self {
        Self(Self::FAILED_FIRST.0 - class as i32)
    }

    /// The index of the failure's class.
    pub fn class(self) -> Option<usize> {
        (-99..=-1).contains(&self.0).then(|| (Self::FAILED_FIRST.0 - self.0) as usize)
    }
}
