//! A map of a handful of names.

use peerstream_protocol::id::NodeId;
use smallvec::SmallVec;

/// A sorted map of a few names, nearly always none or one, which takes no memory of its own.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Few<T>(SmallVec<[(NodeId, T); 1]>);

impl<T> Default for Few<T> {
    fn default() -> Self {
        Self(SmallVec::new())
    }
}

impl<T: Copy> Few<T> {
    fn find(&self, node: NodeId) -> Result<usize, usize> {
        self.0.binary_search_by_key(&node, |(known, _)| *known)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn contains(&self, node: NodeId) -> bool {
        self.find(node).is_ok()
    }

    pub(crate) fn get(&self, node: NodeId) -> Option<T> {
        self.find(node).ok().map(|at| self.0[at].1)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (NodeId, T)> {
        self.0.iter().copied()
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = NodeId> {
        self.0.iter().map(|(node, _)| *node)
    }

    /// Sets a value; gives back the one before.
    pub(crate) fn insert(&mut self, node: NodeId, value: T) -> Option<T> {
        match self.find(node) {
            Ok(at) => Some(std::mem::replace(&mut self.0[at].1, value)),
            Err(at) => {
                self.0.insert(at, (node, value));
                None
            }
        }
    }

    pub(crate) fn remove(&mut self, node: NodeId) -> Option<T> {
        let at = self.find(node).ok()?;
        let (_, value) = self.0.remove(at);
        if self.0.len() <= 1 {
            self.0.shrink_to_fit();
        }
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_names_are_a_sorted_map() {
        let mut few = Few::default();
        let (a, b, c) = (NodeId(3), NodeId(1), NodeId(2));
        assert_eq!(
            [few.insert(a, 'a'), few.insert(b, 'b'), few.insert(c, 'c'), few.insert(a, 'd')],
            [None, None, None, Some('a')]
        );
        assert!(few.iter().eq([(b, 'b'), (c, 'c'), (a, 'd')]));
        assert_eq!((few.remove(c), few.remove(c), few.contains(c)), (Some('c'), None, false));
        assert!(few.keys().eq([b, a]));
    }
}
