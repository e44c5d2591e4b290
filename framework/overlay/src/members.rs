//! All members of an overlay, by id.

use std::hash::{Hash, Hasher};

use hashbrown::HashTable;
use peerstream_protocol::id::NodeId;

use crate::topology::Member;

/// Members in one array, found through a table of their positions. The order of the array means nothing.
#[derive(Clone, Debug, Default)]
pub(crate) struct Members {
    members: Vec<(NodeId, Member)>,
    positions: HashTable<u32>,
}

/// Fibonacci hashing (Knuth, The Art of Computer Programming, vol. 3, 6.4), folded so that all bits of the id count.
fn hash_of(node: NodeId) -> u64 {
    let product = node.0.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    product ^ (product >> 32)
}

impl Members {
    pub(crate) fn len(&self) -> usize {
        self.members.len()
    }

    pub(crate) fn get(&self, node: NodeId) -> Option<&Member> {
        self.position(node).map(|at| &self.members[at].1)
    }

    pub(crate) fn get_mut(&mut self, node: NodeId) -> Option<&mut Member> {
        self.position(node).map(|at| &mut self.members[at].1)
    }

    /// Takes in a member that is not there yet.
    pub(crate) fn insert(&mut self, node: NodeId, member: Member) {
        if self.members.len() == self.members.capacity() {
            // By a quarter, not by half, to waste less.
            self.members.reserve_exact(self.members.len() / 4 + 4);
        }
        let members = &self.members;
        self.positions.insert_unique(hash_of(node), members.len() as u32, |at| hash_of(members[*at as usize].0));
        self.members.push((node, member));
    }

    /// Takes a member out; the last one of the array takes its position.
    pub(crate) fn remove(&mut self, node: NodeId) -> Option<Member> {
        let members = &self.members;
        let entry = self.positions.find_entry(hash_of(node), |at| members[*at as usize].0 == node).ok()?;
        let (position, _) = entry.remove();
        let last = members.len() as u32 - 1;
        if position != last {
            let moved = hash_of(members[last as usize].0);
            if let Some(at) = self.positions.find_mut(moved, |at| *at == last) {
                *at = position;
            }
        }
        Some(self.members.swap_remove(position as usize).1)
    }

    /// All members by id.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (NodeId, &Member)> {
        let mut sorted: Vec<_> = self.members.iter().map(|(node, member)| (*node, member)).collect();
        sorted.sort_unstable_by_key(|(node, _)| *node);
        sorted.into_iter()
    }

    fn position(&self, node: NodeId) -> Option<usize> {
        self.positions.find(hash_of(node), |at| self.members[*at as usize].0 == node).map(|at| *at as usize)
    }
}

impl PartialEq for Members {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.members.iter().all(|(node, member)| other.get(*node) == Some(member))
    }
}

impl Eq for Members {}

impl Hash for Members {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.iter().for_each(|member| member.hash(state));
    }
}
