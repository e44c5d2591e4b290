//! The target overlay: its members and the edges a strategy has asked for.

use peerstream_protocol::id::{NodeId, Stripes};
use peerstream_protocol::time::Micros;
use smallvec::SmallVec;

use crate::Reject;
use crate::maybe::Maybe;
use crate::plan::Standbys;
use crate::roster::Roster;

/// Who feeds a member which stripes.
pub(crate) type Parents = SmallVec<[(NodeId, Stripes); 1]>;

/// What is known of a member, and its target edges.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Member {
    /// Children it can feed; one spare copy comes on top.
    pub capacity: u8,
    /// Whether it may feed others at all.
    pub relay: bool,
    /// Whether its uplink is still to be measured: better not to rely on it while there is another.
    pub untried: bool,
    /// When it joined, microseconds since 1970; what "older" goes by.
    pub joined_at: Micros,
    /// The same for nodes of one network, which are about equally far from others; 0 when that is not known. It says nothing
    /// else about them.
    pub network: u64,
    pub(crate) parents: Parents,
    pub(crate) children: SmallVec<[(NodeId, Stripes); 2]>,
    pub(crate) backup: Maybe<NodeId>,
    pub(crate) backs: SmallVec<[NodeId; 2]>,
    pub(crate) standby: Standbys,
    pub(crate) stands_by_for: SmallVec<[NodeId; 4]>,
}

impl Default for Member {
    /// A page: two children, relays, joined at time zero.
    fn default() -> Self {
        Self::new(2, true, Micros(0))
    }
}

impl Member {
    /// A member without edges.
    pub fn new(capacity: u8, relay: bool, joined_at: Micros) -> Self {
        Self {
            capacity,
            relay,
            untried: false,
            joined_at,
            network: 0,
            parents: SmallVec::new(),
            children: SmallVec::new(),
            backup: Maybe::default(),
            backs: SmallVec::new(),
            standby: Standbys::default(),
            stands_by_for: SmallVec::new(),
        }
    }

    /// The same member, with an uplink that is still to be measured or not.
    pub fn with_untried(self, untried: bool) -> Self {
        Self { untried, ..self }
    }

    /// The same member, in that network.
    pub fn with_network(self, network: u64) -> Self {
        Self { network, ..self }
    }

    /// Who feeds it which stripes; no stripe twice.
    pub fn parents(&self) -> &[(NodeId, Stripes)] {
        &self.parents
    }

    /// The parent of the first stripe that has one: the only parent of a member that is fed the whole stream by one.
    pub fn parent(&self) -> Option<NodeId> {
        self.parents.first().map(|(parent, _)| *parent)
    }

    /// The parent of one stripe.
    pub fn parent_of(&self, stripe: Stripes) -> Option<NodeId> {
        self.parents.iter().find(|(_, fed)| fed.meets(stripe)).map(|(parent, _)| *parent)
    }

    /// The stripes it has a parent for.
    pub fn fed(&self) -> Stripes {
        self.parents.iter().fold(Stripes::NONE, |all, (_, fed)| all.with(*fed))
    }

    /// Whom it feeds which stripes, by id.
    pub fn children(&self) -> &[(NodeId, Stripes)] {
        &self.children
    }

    /// Who feeds it when its parent fails.
    pub fn backup(&self) -> Option<NodeId> {
        self.backup.get()
    }

    /// Whom it feeds when their parent fails, by id.
    pub fn backs(&self) -> &[NodeId] {
        &self.backs
    }

    /// To whom it keeps open, unused links; at most [`STANDBYS_MAX`](crate::STANDBYS_MAX), the first is asked first.
    pub fn standby(&self) -> &[NodeId] {
        &self.standby
    }

    /// Who keeps an open, unused link to it, by id.
    pub fn stands_by_for(&self) -> &[NodeId] {
        &self.stands_by_for
    }

    /// Children it can be given: none when it does not relay.
    pub fn room(&self) -> usize {
        if self.relay { usize::from(self.capacity) } else { 0 }
    }
}

/// The members and their target edges. Each edge is known at both of its ends.
///
/// The source is a member from the start and can never be removed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Topology {
    members: Roster<NodeId, Member>,
}

impl Topology {
    /// A topology of the source alone, which feeds up to `capacity` children.
    pub fn new(capacity: u8) -> Self {
        let source = Member::new(capacity, true, Micros(0));
        let mut members = Roster::default();
        members.insert(NodeId::SOURCE, source);
        Self { members }
    }

    /// A member, unless unknown.
    pub fn get(&self, node: NodeId) -> Option<&Member> {
        self.members.get(node)
    }

    /// Whether the node is a member.
    pub fn contains(&self, node: NodeId) -> bool {
        self.members.contains(node)
    }

    /// All members with the source, by id.
    pub fn iter(&self) -> impl Iterator<Item = (NodeId, &Member)> {
        self.members.iter()
    }

    /// How many members there are without the source.
    pub fn len(&self) -> usize {
        self.members.len() - 1
    }

    /// Whether the source is alone.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes in a member without edges; refused when the id is taken.
    pub fn insert(&mut self, node: NodeId, member: Member) -> Result<(), Reject> {
        if self.contains(node) {
            return Err(Reject::Known(node));
        }
        let Member { untried, network, .. } = member;
        let member = Member::new(member.capacity, member.relay, member.joined_at);
        self.members.insert(node, Member { untried, network, ..member });
        Ok(())
    }

    /// Changes what a member can do. Edges it can no longer carry stay until a plan moves them.
    pub fn set_ability(&mut self, node: NodeId, capacity: u8, relay: bool) {
        if let Some(member) = self.members.get_mut(node) {
            (member.capacity, member.relay) = (capacity, relay);
        }
    }

    /// Changes whether a member's uplink is still to be measured.
    pub fn set_untried(&mut self, node: NodeId, untried: bool) {
        if let Some(member) = self.members.get_mut(node) {
            member.untried = untried;
        }
    }

    /// A member turns out to have joined at another time than was thought.
    pub fn set_joined_at(&mut self, node: NodeId, joined_at: Micros) {
        if let Some(member) = self.members.get_mut(node) {
            member.joined_at = joined_at;
        }
    }

    /// Gives a member these edges, unchecked: for a copy of a topology whose edges were checked.
    pub fn restore(&mut self, node: NodeId, parents: &[(NodeId, Stripes)], backup: Option<NodeId>, standby: Standbys) {
        self.set_parents(node, parents.iter().copied().collect());
        self.set_backup(node, backup);
        self.set_standby(node, standby);
    }

    /// Takes a member out with all its edges. Returns it as it was; none for the source and for unknown nodes.
    pub fn remove(&mut self, node: NodeId) -> Option<Member> {
        if node == NodeId::SOURCE {
            return None;
        }
        let was = self.members.get(node)?.clone();
        self.set_parents(node, Parents::new());
        self.set_backup(node, None);
        self.set_standby(node, Standbys::default());
        for (child, _) in &was.children {
            let rest = self.parents_without(*child, node);
            self.set_parents(*child, rest);
        }
        was.backs.iter().for_each(|other| self.set_backup(*other, None));
        for other in &was.stands_by_for {
            let rest = self.get(*other).map(|other| other.standby.iter().copied().filter(|to| *to != node).collect());
            self.set_standby(*other, rest.unwrap_or_default());
        }
        self.members.remove(node);
        Some(was)
    }

    /// Hops from the source along first parents; none when the way does not end there.
    pub fn depth(&self, node: NodeId) -> Option<u32> {
        let mut at = node;
        for hops in 0..=self.members.len() as u32 {
            if at == NodeId::SOURCE {
                return Some(hops);
            }
            at = self.get(at)?.parent()?;
        }
        None
    }

    fn parents_without(&self, node: NodeId, gone: NodeId) -> Parents {
        let parents = self.get(node).map(|member| member.parents.clone()).unwrap_or_default();
        parents.into_iter().filter(|(parent, _)| *parent != gone).collect()
    }

    pub(crate) fn set_parents(&mut self, node: NodeId, parents: Parents) {
        let Some(member) = self.members.get_mut(node) else { return };
        let old = std::mem::replace(&mut member.parents, parents.clone());
        for (parent, _) in old {
            if let Some(parent) = self.members.get_mut(parent) {
                parent.children.retain(|(child, _)| *child != node);
            }
        }
        for (parent, stripes) in parents {
            if let Some(parent) = self.members.get_mut(parent) {
                let at = parent.children.partition_point(|(child, _)| *child < node);
                parent.children.insert(at, (node, stripes));
            }
        }
    }

    pub(crate) fn set_backup(&mut self, node: NodeId, from: Option<NodeId>) {
        let Some(member) = self.members.get_mut(node) else { return };
        let old = std::mem::replace(&mut member.backup, from.into()).get();
        if let Some(old) = old.and_then(|old| self.members.get_mut(old)) {
            old.backs.retain(|client| *client != node);
        }
        if let Some(new) = from.and_then(|new| self.members.get_mut(new)) {
            new.backs.insert(new.backs.partition_point(|other| *other < node), node);
        }
    }

    pub(crate) fn set_standby(&mut self, node: NodeId, to: Standbys) {
        let Some(member) = self.members.get_mut(node) else { return };
        for old in std::mem::replace(&mut member.standby, to).iter() {
            if let Some(old) = self.members.get_mut(*old) {
                old.stands_by_for.retain(|client| *client != node);
            }
        }
        for new in to.iter() {
            if let Some(new) = self.members.get_mut(*new) {
                new.stands_by_for.insert(new.stands_by_for.partition_point(|other| *other < node), node);
            }
        }
    }
}
