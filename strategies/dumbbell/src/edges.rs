//! From places to edges: parents, backups, standbys.

use std::collections::{BTreeMap, BTreeSet};

use peerstream_sdk::overlay::{Group, Member, Topology};
use peerstream_sdk::protocol::id::{NodeId, Stripes};

use crate::pairs::Pairs;
use crate::place::Place;
use crate::tree::Tree;

/// Nodes without a backup that are looked at again with every change.
const UNBACKED_LOOKED_AT: usize = 32;

/// Who backs up whom. A whole dumbbell backs each other up; a node without a twin that relays is *lone*, and backed up
/// by the nearest node above it in the other tree that has a copy to spare.
#[derive(Clone, Debug, Default)]
pub(crate) struct Edges {
    backup: BTreeMap<NodeId, NodeId>,
    backs: BTreeMap<NodeId, BTreeSet<NodeId>>,
    unbacked: BTreeSet<NodeId>,
    standby: bool,
}

/// What edges follow from.
pub(crate) struct Sight<'a> {
    pub(crate) tree: &'a Tree,
    pub(crate) pairs: &'a Pairs,
}

impl Sight<'_> {
    fn node(&self, place: Place) -> Option<NodeId> {
        self.tree.occupant(place).map(|occupant| occupant.node)
    }

    fn parent(&self, place: Place) -> Option<NodeId> {
        place.parent().map_or(Some(NodeId::SOURCE), |parent| self.node(parent))
    }

    fn standby(&self, place: Place) -> Option<NodeId> {
        self.parent(place.parent()?)
    }

    /// The node there, if it can feed that one.
    fn server(&self, place: Place, client: NodeId) -> Option<NodeId> {
        let occupant = self.tree.occupant(place).filter(|occupant| !occupant.weak)?;
        (!self.pairs.contains(occupant.node, client)).then_some(occupant.node)
    }

    /// Copies a node has for lone nodes: its free slots, and its spare if it has no twin.
    fn copies_for_lone(&self, server: NodeId) -> usize {
        let Some(place) = self.tree.place_of(server) else { return 0 };
        let free = place.children().iter().filter(|child| self.node(**child).is_none()).count();
        free + usize::from(self.node(place.twin()).is_none())
    }

    /// Nodes whose edges may follow from who is at this place.
    fn around(&self, place: Place) -> impl Iterator<Item = NodeId> {
        let children = place.children();
        let grandchildren = children.into_iter().flat_map(|child| child.children());
        let near = [Some(place), Some(place.twin()), place.parent(), place.parent().map(|parent| parent.twin())];
        near.into_iter().flatten().chain(children).chain(grandchildren).filter_map(|place| self.node(place))
    }
}

impl Edges {
    pub(crate) fn new(standby: bool) -> Self {
        Self { standby, ..Self::default() }
    }

    /// Forgets everything but what the topology says.
    pub(crate) fn reset(&mut self, topology: &Topology) {
        *self = Self::new(self.standby);
        let backups = topology.iter().filter_map(|(node, member)| Some((node, member.backup()?)));
        backups.for_each(|(node, backup)| self.set_backup(node, Some(backup)));
    }

    /// The node has no place any more. Returns whom it backed up.
    pub(crate) fn forget(&mut self, node: NodeId) -> BTreeSet<NodeId> {
        self.set_backup(node, None);
        self.unbacked.remove(&node);
        let clients = self.backs.remove(&node).unwrap_or_default();
        for client in &clients {
            self.backup.remove(client);
        }
        clients
    }

    /// Nodes that have a place and nobody to back them up.
    pub(crate) fn unbacked(&self) -> usize {
        self.unbacked.len()
    }

    /// Asks for the edges that differ from the topology's, for all nodes that the changed places or `also` concern.
    pub(crate) fn settle(
        &mut self,
        sight: &Sight<'_>,
        topology: &Topology,
        changed: &BTreeSet<Place>,
        also: BTreeSet<NodeId>,
    ) -> Group {
        let mut nodes: BTreeSet<_> = changed.iter().flat_map(|place| sight.around(*place)).chain(also).collect();
        let clients: Vec<_> = nodes.iter().filter_map(|node| self.backs.get(node)).flatten().copied().collect();
        nodes.extend(clients);
        nodes.extend(self.unbacked.iter().take(UNBACKED_LOOKED_AT));
        nodes.retain(|node| topology.contains(*node));
        nodes.extend(self.settle_backups(sight, &nodes));
        let mut group = Group::default();
        for node in nodes {
            self.ask(sight, topology, node, &mut group);
        }
        group
    }

    /// Puts the backups of these nodes right. Returns other nodes that lost theirs for it.
    fn settle_backups(&mut self, sight: &Sight<'_>, nodes: &BTreeSet<NodeId>) -> BTreeSet<NodeId> {
        for node in nodes {
            let twin = self.twin(sight, *node);
            let keeps = self.backup.get(node).is_some_and(|backup| match twin {
                Some(twin) => *backup == twin,
                None => self.may_back(sight, *backup, *node),
            });
            if !keeps {
                self.set_backup(*node, twin);
            }
        }
        let evicted: BTreeSet<_> = nodes.iter().flat_map(|server| self.evict(sight, *server)).collect();
        for node in nodes.union(&evicted).filter(|node| !self.backup.contains_key(node)).copied().collect::<Vec<_>>() {
            self.find_backup(sight, node);
        }
        evicted
    }

    fn find_backup(&mut self, sight: &Sight<'_>, node: NodeId) {
        let Some(place) = sight.tree.place_of(node) else {
            self.unbacked.remove(&node);
            return;
        };
        let mut above = place.across().filter_map(|place| sight.server(place, node));
        match above.find(|server| self.lone_clients(sight, *server).len() < sight.copies_for_lone(*server)) {
            Some(server) => self.set_backup(node, Some(server)),
            None => drop(self.unbacked.insert(node)),
        }
    }

    /// Takes away lone nodes that a server has no copy for any more.
    fn evict(&mut self, sight: &Sight<'_>, server: NodeId) -> Vec<NodeId> {
        let clients = self.lone_clients(sight, server);
        let surplus = clients.len().saturating_sub(sight.copies_for_lone(server));
        let evicted: Vec<_> = clients.into_iter().rev().take(surplus).collect();
        evicted.iter().for_each(|client| self.set_backup(*client, None));
        evicted
    }

    fn lone_clients(&self, sight: &Sight<'_>, server: NodeId) -> Vec<NodeId> {
        let Some(clients) = self.backs.get(&server) else { return Vec::new() };
        let twin = sight.tree.place_of(server).and_then(|place| sight.node(place.twin()));
        clients.iter().copied().filter(|client| Some(*client) != twin).collect()
    }

    /// The twin, if it can back the node up.
    fn twin(&self, sight: &Sight<'_>, node: NodeId) -> Option<NodeId> {
        sight.server(sight.tree.place_of(node)?.twin(), node)
    }

    fn may_back(&self, sight: &Sight<'_>, server: NodeId, lone: NodeId) -> bool {
        let (Some(place), Some(above)) = (sight.tree.place_of(lone), sight.tree.place_of(server)) else { return false };
        sight.server(above, lone) == Some(server) && place.across().any(|across| across == above)
    }

    fn set_backup(&mut self, node: NodeId, backup: Option<NodeId>) {
        if let Some(old) = self.backup.remove(&node) {
            self.backs.get_mut(&old).map(|clients| clients.remove(&node));
        }
        if let Some(new) = backup {
            self.backup.insert(node, new);
            self.backs.entry(new).or_default().insert(node);
            self.unbacked.remove(&node);
        }
    }

    /// Writes what differs from the topology.
    fn ask(&self, sight: &Sight<'_>, topology: &Topology, node: NodeId, group: &mut Group) {
        let Some(member) = topology.get(node) else { return };
        let Some(place) = sight.tree.place_of(node) else {
            if has_edges(member) {
                group.detach(node);
            }
            return;
        };
        if let Some(parent) = sight.parent(place).filter(|parent| member.parent() != Some(*parent)) {
            group.set_parent(node, Stripes::ALL, parent);
        }
        let backup = self.backup.get(&node).copied();
        if member.backup() != backup {
            group.set_backup(node, backup);
        }
        let standby = sight.standby(place).filter(|_| self.standby);
        if member.standby() != standby.as_slice() {
            group.set_standby(node, standby);
        }
    }
}

fn has_edges(member: &Member) -> bool {
    member.parent().is_some() || member.backup().is_some() || !member.standby().is_empty()
}
