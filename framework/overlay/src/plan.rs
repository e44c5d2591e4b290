//! What a strategy asks for: groups of target edges.

use peerstream_protocol::id::{NodeId, Stripes};
use smallvec::SmallVec;

/// A group holds at most this many operations; a group beyond it is rejected.
pub const GROUP_OPS_MAX: usize = 1_000_000;

/// Room made at once for the first operation of a group and these that follow it.
const OPS_EXPECTED: usize = 6;

/// A node keeps open, unused links to at most this many others.
pub const STANDBYS_MAX: usize = 2;

/// To whom a node keeps open, unused links; the first is asked first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Standbys {
    /// Those beyond `len` are zero, so that equal lists are equal.
    nodes: [NodeId; STANDBYS_MAX],
    len: u8,
}

impl Default for Standbys {
    /// To nobody.
    fn default() -> Self {
        Self { nodes: [NodeId(0); STANDBYS_MAX], len: 0 }
    }
}

impl std::ops::Deref for Standbys {
    type Target = [NodeId];

    fn deref(&self) -> &[NodeId] {
        &self.nodes[..usize::from(self.len)]
    }
}

impl FromIterator<NodeId> for Standbys {
    /// The first [`STANDBYS_MAX`] different nodes; the rest is left out.
    fn from_iter<I: IntoIterator<Item = NodeId>>(nodes: I) -> Self {
        let mut all = Self::default();
        for node in nodes {
            if usize::from(all.len) < STANDBYS_MAX && !all.contains(&node) {
                all.nodes[usize::from(all.len)] = node;
                all.len += 1;
            }
        }
        all
    }
}

/// One wish. Target edges only; how links get there is the coordinator's business.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Op {
    /// `parent` feeds `node` these stripes, instead of whoever did.
    SetParent {
        /// The child.
        node: NodeId,
        /// What flows.
        stripes: Stripes,
        /// The parent.
        parent: NodeId,
    },
    /// `from` feeds `node` when its parent fails; nobody when none.
    SetBackup {
        /// The one who may need it.
        node: NodeId,
        /// The one who helps.
        from: Option<NodeId>,
    },
    /// `node` keeps open, unused links to these and to no others.
    SetStandby {
        /// The one who may need them.
        node: NodeId,
        /// Those who help.
        to: Standbys,
    },
    /// Takes all of the node's own parents, its backup and its standbys away.
    Detach {
        /// Who is served by nobody from now on.
        node: NodeId,
    },
}

impl Op {
    /// Whose edges it changes.
    pub fn node(&self) -> NodeId {
        match self {
            Self::SetParent { node, .. } | Self::SetBackup { node, .. } | Self::SetStandby { node, .. } => *node,
            Self::Detach { node } => *node,
        }
    }
}

/// Operations that are committed together or not at all. Only the state after all of them counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group {
    ops: Vec<Op>,
}

impl Group {
    /// Adds [`Op::SetParent`].
    pub fn set_parent(&mut self, node: NodeId, stripes: Stripes, parent: NodeId) -> &mut Self {
        self.push(Op::SetParent { node, stripes, parent })
    }

    /// Adds [`Op::SetBackup`].
    pub fn set_backup(&mut self, node: NodeId, from: Option<NodeId>) -> &mut Self {
        self.push(Op::SetBackup { node, from })
    }

    /// Adds [`Op::SetStandby`].
    pub fn set_standby(&mut self, node: NodeId, to: impl IntoIterator<Item = NodeId>) -> &mut Self {
        self.push(Op::SetStandby { node, to: to.into_iter().collect() })
    }

    /// Adds [`Op::Detach`].
    pub fn detach(&mut self, node: NodeId) -> &mut Self {
        self.push(Op::Detach { node })
    }

    /// The operations in order.
    pub fn ops(&self) -> &[Op] {
        &self.ops
    }

    /// A group that holds too much is rejected as a whole when it is committed.
    fn push(&mut self, op: Op) -> &mut Self {
        if self.ops.is_empty() {
            self.ops.reserve(OPS_EXPECTED);
        }
        if self.ops.len() <= GROUP_OPS_MAX {
            self.ops.push(op);
        }
        self
    }
}

/// Groups in the order in which they are committed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Most plans have one group.
    groups: SmallVec<[Group; 1]>,
}

impl Plan {
    /// Begins another group.
    pub fn group(&mut self) -> &mut Group {
        self.groups.push(Group::default());
        self.groups.last_mut().expect("one was just pushed")
    }

    /// Adds a group that was written elsewhere.
    pub fn push(&mut self, group: Group) {
        self.groups.push(group);
    }

    /// The groups in order; empty ones may be among them.
    pub fn groups(&self) -> &[Group] {
        &self.groups
    }
}
