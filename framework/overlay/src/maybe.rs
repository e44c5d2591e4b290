//! Numbers that may be absent, in the memory of the number.

use std::fmt;
use std::hash::Hash;
use std::marker::PhantomData;

use peerstream_protocol::id::NodeId;
use peerstream_protocol::time::Micros;

/// What is a number underneath; the largest one is never used.
pub trait Number: Copy {
    /// The number.
    fn number(self) -> u64;
    /// The opposite.
    fn of(number: u64) -> Self;
}

impl Number for u64 {
    fn number(self) -> u64 {
        self
    }

    fn of(number: u64) -> Self {
        number
    }
}

macro_rules! number {
    ($($name:ident),*) => {$(
        impl Number for $name {
            fn number(self) -> u64 {
                self.0
            }

            fn of(number: u64) -> Self {
                Self(number)
            }
        }
    )*};
}
number!(NodeId, Micros);

/// An [`Option`] in half its memory: there is one of these, or none, for each of many nodes.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Maybe<T> {
    number: u64,
    of: PhantomData<T>,
}

const NONE: u64 = u64::MAX;

impl<T: Number> Maybe<T> {
    /// The value, if there is one.
    pub fn get(self) -> Option<T> {
        (self.number != NONE).then(|| T::of(self.number))
    }

    /// Whether there is a value.
    pub fn is_some(self) -> bool {
        self.number != NONE
    }

    /// Whether there is no value.
    pub fn is_none(self) -> bool {
        self.number == NONE
    }

    /// The value, which is gone then.
    pub fn take(&mut self) -> Option<T> {
        std::mem::take(self).get()
    }

    /// Sets a value; gives back the one before.
    pub fn replace(&mut self, value: T) -> Option<T> {
        std::mem::replace(self, Some(value).into()).get()
    }
}

impl<T> Default for Maybe<T> {
    fn default() -> Self {
        Self { number: NONE, of: PhantomData }
    }
}

impl<T: Number> From<Option<T>> for Maybe<T> {
    fn from(value: Option<T>) -> Self {
        let number = value.map_or(NONE, Number::number);
        assert!(value.is_none() || number != NONE, "the largest number stands for none");
        Self { number, of: PhantomData }
    }
}

impl<T: Number + fmt::Debug> fmt::Debug for Maybe<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.get().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_may_be_absent_in_eight_bytes() {
        let mut maybe = Maybe::<NodeId>::default();
        assert_eq!((size_of_val(&maybe), maybe.get(), maybe.replace(NodeId(0))), (8, None, None));
        assert_eq!((maybe.get(), maybe.take(), maybe.is_none()), (Some(NodeId(0)), Some(NodeId(0)), true));
    }
}
