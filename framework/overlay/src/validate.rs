//! Takes a group of a plan whole, or leaves it whole and says why.

use peerstream_protocol::id::{NodeId, Stripes};
use smallvec::SmallVec;

use crate::plan::{GROUP_OPS_MAX, Group, Op, Standbys};
use crate::topology::{Parents, Topology};

/// At most this many nodes keep a standby link to one node.
pub const STANDBY_CLIENTS_MAX: usize = 32;

/// Why a group was not committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Reject {
    /// The group names a node that is no member.
    #[error("{0} is not a member")]
    Unknown(NodeId),
    /// A member of that name is there already.
    #[error("{0} is a member already")]
    Known(NodeId),
    /// The source cannot have a parent, a backup or a standby.
    #[error("the source cannot be fed")]
    Source,
    /// A node would feed, back or stand by for itself.
    #[error("{0} would serve itself")]
    Itself(NodeId),
    /// An edge without stripes, or with one that does not exist.
    #[error("{0} would be fed no stripe, or one that does not exist")]
    NoStripe(NodeId),
    /// A node would be its own ancestor in some stripe.
    #[error("{0} would be its own ancestor")]
    Cycle(NodeId),
    /// A node would send its children more copies than its capacity; a stripe is its part of a copy. One more is allowed if
    /// the source backs up one of them: that one is fed from the spare copy, and does without anybody else's.
    #[error("{0} would have more children than its capacity")]
    Capacity(NodeId),
    /// A node would feed and back more nodes than its capacity and one spare copy.
    #[error("{0} would back more nodes than its spare copy and free slots allow")]
    Spare(NodeId),
    /// Too many nodes would stand by at one.
    #[error("too many nodes would stand by at {0}")]
    Standby(NodeId),
    /// The group has more operations than [`GROUP_OPS_MAX`].
    #[error("the group has too many operations")]
    TooLarge,
}

/// What a node had before a group changed it.
struct Before {
    node: NodeId,
    parents: Parents,
    backup: Option<NodeId>,
    standby: Standbys,
}

impl Topology {
    /// Commits a group, or changes nothing and says why. The cost is the size of the group times the depth of the tree.
    pub fn commit(&mut self, group: &Group) -> Result<(), Reject> {
        if group.ops().len() > GROUP_OPS_MAX {
            return Err(Reject::TooLarge);
        }
        let mut undo = Vec::with_capacity(group.ops().len());
        let verdict = self.apply(group, &mut undo);
        if verdict.is_err() {
            for before in undo.into_iter().rev() {
                self.set_parents(before.node, before.parents);
                self.set_backup(before.node, before.backup);
                self.set_standby(before.node, before.standby);
            }
        }
        verdict
    }

    fn apply(&mut self, group: &Group, undo: &mut Vec<Before>) -> Result<(), Reject> {
        let mut moved = Vec::new();
        let mut servers = Vec::new();
        for op in group.ops() {
            let node = self.check(op)?;
            let member = self.get(node).expect("checked above");
            let before =
                Before { node, parents: member.parents.clone(), backup: member.backup(), standby: member.standby };
            if before.backup == Some(NodeId::SOURCE) {
                // Without the source's help it may be one child too many.
                servers.extend(before.parents.iter().map(|(parent, _)| *parent));
            }
            undo.push(before);
            self.perform(op);
            match op {
                Op::SetParent { parent, .. } => {
                    moved.push(node);
                    servers.push(*parent);
                }
                Op::SetBackup { from, .. } => servers.extend(from),
                Op::SetStandby { to, .. } => servers.extend(to.iter()),
                Op::Detach { .. } => {}
            }
        }
        servers.sort_unstable();
        servers.dedup();
        servers.into_iter().try_for_each(|server| self.check_room(server))?;
        moved.sort_unstable();
        moved.dedup();
        moved.into_iter().try_for_each(|node| self.check_acyclic(node))
    }

    /// Checks what can be said of one operation alone.
    fn check(&self, op: &Op) -> Result<NodeId, Reject> {
        let node = op.node();
        let others: Standbys = match op {
            Op::SetParent { stripes, .. } if !stripes.is_some() => {
                return Err(Reject::NoStripe(node));
            }
            Op::SetParent { parent, .. } => [*parent].into_iter().collect(),
            Op::SetBackup { from, .. } => from.iter().copied().collect(),
            Op::SetStandby { to, .. } => *to,
            Op::Detach { .. } => Standbys::default(),
        };
        if node == NodeId::SOURCE {
            return Err(Reject::Source);
        }
        if others.contains(&node) {
            return Err(Reject::Itself(node));
        }
        match std::iter::once(&node).chain(others.iter()).find(|named| !self.contains(**named)) {
            Some(unknown) => Err(Reject::Unknown(*unknown)),
            None => Ok(node),
        }
    }

    fn perform(&mut self, op: &Op) {
        match op {
            Op::SetParent { node, stripes, parent } => self.set_parent(*node, *stripes, *parent),
            Op::SetBackup { node, from } => self.set_backup(*node, *from),
            Op::SetStandby { node, to } => self.set_standby(*node, *to),
            Op::Detach { node } => {
                self.set_parents(*node, Parents::new());
                self.set_backup(*node, None);
                self.set_standby(*node, Standbys::default());
            }
        }
    }

    /// Takes the stripes from whoever fed them and gives them to `parent`.
    fn set_parent(&mut self, node: NodeId, stripes: Stripes, parent: NodeId) {
        let had = self.get(node).map(|member| member.parents.clone()).unwrap_or_default();
        let mut of_parent = stripes;
        let mut parents = Parents::new();
        for (old, fed) in had {
            let rest = fed.without(stripes);
            if old == parent {
                of_parent = of_parent.with(rest);
            } else if !rest.is_empty() {
                parents.push((old, rest));
            }
        }
        parents.push((parent, of_parent));
        parents.sort_by_key(|(_, fed)| fed.0.trailing_zeros());
        self.set_parents(node, parents);
    }

    fn check_room(&self, node: NodeId) -> Result<(), Reject> {
        let member = self.get(node).ok_or(Reject::Unknown(node))?;
        let copy = usize::from(Stripes::COUNT);
        let (room, spare) = (member.room() * copy, usize::from(member.relay) * copy);
        let fed: usize = member.children.iter().map(|(_, stripes)| stripes.count()).sum();
        let backed_by_source = |child: NodeId| self.get(child).and_then(|child| child.backup()) == Some(NodeId::SOURCE);
        let fed_from_spare = || member.children.iter().any(|(child, _)| backed_by_source(*child));
        let surplus = fed.saturating_sub(room);
        if surplus > spare || (surplus > 0 && !fed_from_spare()) {
            return Err(Reject::Capacity(node));
        }
        if fed + member.backs.len() * copy > room + spare {
            return Err(Reject::Spare(node));
        }
        if member.stands_by_for.len() > STANDBY_CLIENTS_MAX {
            return Err(Reject::Standby(node));
        }
        Ok(())
    }

    /// Follows each stripe's parents from the node up; coming back to it is a cycle. Who feeds nobody is in none.
    fn check_acyclic(&self, node: NodeId) -> Result<(), Reject> {
        if self.get(node).is_none_or(|member| member.children.is_empty()) {
            return Ok(());
        }
        // One way up as long as all stripes take the same.
        let mut ways: SmallVec<[(NodeId, Stripes); 2]> = SmallVec::new();
        ways.push((node, Stripes::ALL));
        let mut steps = 0;
        while let Some((at, stripes)) = ways.pop() {
            for (parent, fed) in self.get(at).map_or(&[][..], |member| &member.parents) {
                if !fed.meets(stripes) {
                    continue;
                }
                steps += 1;
                if *parent == node || steps > (self.len() + 1) * usize::from(Stripes::COUNT) {
                    return Err(Reject::Cycle(node));
                }
                ways.push((*parent, fed.and(stripes)));
            }
        }
        Ok(())
    }
}
