//! The strategy: answers what happens with moves of the two trees.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use peerstream_sdk::overlay::{Context, Event, Member, Plan, Topology, TreeStrategy};
use peerstream_sdk::protocol::id::NodeId;
use peerstream_sdk::protocol::time::Micros;

use crate::edges::{Edges, Sight};
use crate::pairs::Pairs;
use crate::place::Place;
use crate::tree::{Occupant, Tree};

/// Children a node must be able to feed to be more than a leaf.
const FAN_OUT: u8 = 2;
/// Places tried for a node that could not reach its parent.
const PLACES_TRIED: usize = 16;

/// What the strategy can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// Whether each node keeps an open, unused link to its grandparent.
    pub standby: bool,
    /// Moves of compaction per tick, at least; large trees get one for every 64 nodes.
    pub compaction_moves_min: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self { standby: true, compaction_moves_min: 4 }
    }
}

/// What the strategy has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Moves of nodes that already had a place.
    pub moves: u64,
    /// Moves after which a node that relays was older than its new parent.
    pub inversions: u64,
    /// Nodes that have a place and nobody to back them up, now.
    pub unbacked: usize,
}

/// The balanced dumbbell.
#[derive(Clone, Debug)]
pub struct Dumbbell {
    config: Config,
    tree: Tree,
    edges: Edges,
    pairs: Pairs,
}

impl Default for Dumbbell {
    fn default() -> Self {
        Self::new(Config::default())
    }
}

impl Dumbbell {
    /// A strategy for an empty overlay; [`TreeStrategy::attach`] takes over one that runs.
    pub fn new(config: Config) -> Self {
        Self { config, tree: Tree::default(), edges: Edges::new(config.standby), pairs: Pairs::default() }
    }

    /// Where a node is; none when it has no place.
    pub fn place_of(&self, node: NodeId) -> Option<Place> {
        self.tree.place_of(node)
    }

    /// What it has done so far.
    pub fn counters(&self) -> Counters {
        Counters { moves: self.tree.moves, inversions: self.tree.inversions, unbacked: self.edges.unbacked() }
    }

    /// Takes out all who left, then closes the gaps from the bottom up.
    fn on_left(&mut self, left: &[NodeId], also: &mut BTreeSet<NodeId>) {
        let mut gaps = Vec::new();
        for node in left {
            self.pairs.forget(*node);
            also.extend(self.edges.forget(*node));
            match self.tree.place_of(*node) {
                Some(place) => {
                    self.tree.take(place);
                    gaps.push(place);
                }
                None => self.tree.forget_waiting(*node),
            }
        }
        gaps.sort();
        gaps.into_iter().rev().for_each(|gap| self.tree.fill(gap));
    }

    fn on_joined(&mut self, topology: &Topology, node: NodeId) {
        let Some(member) = topology.get(node).filter(|_| !self.tree.is_known(node)) else { return };
        self.tree.settle_in(occupant(node, member));
    }

    /// A node that relays no more goes to a leaf place; one that does again may be given children where it is.
    fn on_changed(&mut self, topology: &Topology, node: NodeId) {
        let Some(member) = topology.get(node) else { return };
        let now = occupant(node, member);
        let Some(place) = self.tree.place_of(node) else {
            if self.tree.is_waiting(node) {
                self.tree.forget_waiting(node);
                self.tree.settle_in(now);
            }
            return;
        };
        if now.weak && !self.tree.is_leaf(place) {
            self.tree.take(place);
            self.tree.fill(place);
            self.tree.moves += 1;
            self.tree.settle_in(now);
        } else {
            self.tree.set_weak(place, now.weak);
        }
    }

    /// A pair that cannot connect: the child goes to another place, a backup is chosen anew.
    fn on_link_failed(&mut self, a: NodeId, b: NodeId, now: Micros, also: &mut BTreeSet<NodeId>) {
        self.pairs.insert(a, b, now);
        also.extend([a, b].into_iter().filter(|node| *node != NodeId::SOURCE));
        let is_child = |child: NodeId, parent: NodeId| {
            let place = self.tree.place_of(child)?;
            (self.parent_at(place) == Some(parent)).then_some(child)
        };
        if let Some(child) = is_child(a, b).or_else(|| is_child(b, a)) {
            self.move_elsewhere(child);
        }
    }

    fn move_elsewhere(&mut self, child: NodeId) {
        let Some(place) = self.tree.place_of(child) else { return };
        let open: Vec<_> = self.tree.open().take(PLACES_TRIED).collect();
        let open = open.into_iter().find(|open| self.may_sit(child, *open) && !is_below(*open, place));
        if let Some(open) = open {
            self.tree.shift(place, open);
            return self.tree.fill(place);
        }
        if self.tree.is_leaf(place) {
            self.exchange(place);
        }
    }

    /// Exchanges a leaf with another one if both then have a parent they may be able to reach.
    fn exchange(&mut self, place: Place) {
        let Some(occupant) = self.tree.occupant(place).copied() else { return };
        let others: Vec<_> = self.tree.leaves().filter(|other| *other != place).take(PLACES_TRIED).collect();
        let fits = |other: &Place| {
            let node = self.tree.occupant(*other).map(|other| other.node);
            self.may_sit(occupant.node, *other) && node.is_some_and(|node| self.may_sit(node, place))
        };
        let Some(other) = others.into_iter().find(fits) else { return };
        if let (Some(ours), Some(theirs)) = (self.tree.take(place), self.tree.take(other)) {
            self.tree.moves += 2;
            self.tree.put(place, theirs);
            self.tree.put(other, ours);
        }
    }

    fn may_sit(&self, node: NodeId, place: Place) -> bool {
        self.parent_at(place).is_some_and(|parent| parent != node && !self.pairs.contains(parent, node))
    }

    fn parent_at(&self, place: Place) -> Option<NodeId> {
        place.parent().map_or(Some(NodeId::SOURCE), |above| self.tree.occupant(above).map(|above| above.node))
    }

    fn on_tick(&mut self, topology: &Topology, now: Micros) {
        self.pairs.forget_old(now);
        let budget = (topology.len() / 64).max(self.config.compaction_moves_min as usize);
        (0..budget).all(|_| self.tree.compact());
    }

    /// Seats everyone as in the running topology as far as it is a pair of binary trees.
    fn take_over(&mut self, topology: &Topology) {
        let mut todo = VecDeque::from([(NodeId::SOURCE, None)]);
        while let Some((parent, place)) = todo.pop_front() {
            let places = place.map_or(Place::ROOTS, Place::children);
            for (child, place) in self.seating(topology, parent, places) {
                let occupant = occupant(child, topology.get(child).expect("it is somebody's child"));
                self.tree.put(place, occupant);
                if !occupant.weak {
                    todo.push_back((child, Some(place)));
                }
            }
        }
        let rest = topology.iter().filter(|(node, _)| *node != NodeId::SOURCE && !self.tree.is_known(*node));
        let mut rest: Vec<_> = rest.map(|(node, member)| occupant(node, member)).collect();
        rest.sort_by_key(|occupant| (occupant.weak, occupant.joined_at, occupant.node));
        rest.into_iter().for_each(|occupant| self.tree.settle_in(occupant));
        self.tree.seat_waiting();
    }

    /// Which two of the children sit where: at the side of the one that backs them up, if it is seated already.
    fn seating(&self, topology: &Topology, parent: NodeId, places: [Place; 2]) -> BTreeMap<NodeId, Place> {
        let children =
            topology.get(parent).map(|member| member.children().iter().map(|(child, _)| *child).collect::<Vec<_>>());
        let mut children = children.unwrap_or_default();
        children.retain(|child| self.tree.place_of(*child).is_none());
        let mut seats = BTreeMap::new();
        let mut free = Vec::new();
        for place in places {
            let twin = self.tree.occupant(place.twin()).map(|twin| twin.node);
            let backed = |child: &NodeId| twin.is_some() && topology.get(*child).and_then(Member::backup) == twin;
            match children.iter().position(backed) {
                Some(at) => drop(seats.insert(children.remove(at), place)),
                None => free.push(place),
            }
        }
        seats.extend(children.into_iter().zip(free));
        seats
    }

    /// Writes a plan of one group for all that has changed.
    fn plan(&mut self, topology: &Topology, also: BTreeSet<NodeId>, plan: &mut Plan) {
        let changed = self.tree.take_changed();
        let sight = Sight { tree: &self.tree, pairs: &self.pairs };
        let group = self.edges.settle(&sight, topology, &changed, also);
        if !group.ops().is_empty() {
            plan.push(group);
        }
    }
}

impl TreeStrategy for Dumbbell {
    fn name(&self) -> &str {
        "dumbbell"
    }

    fn attach(&mut self, context: &Context<'_>, plan: &mut Plan) {
        *self = Self::new(self.config);
        self.take_over(context.topology);
        self.edges.reset(context.topology);
        let everyone = context.topology.iter().map(|(node, _)| node).filter(|node| *node != NodeId::SOURCE).collect();
        self.plan(context.topology, everyone, plan);
    }

    fn on_events(&mut self, context: &Context<'_>, events: &[Event], plan: &mut Plan) {
        let topology = context.topology;
        let mut also = BTreeSet::new();
        let left = |event: &Event| if let Event::Left(node) = event { Some(*node) } else { None };
        let left: Vec<_> = events.iter().filter_map(left).collect();
        self.on_left(&left, &mut also);
        for event in events {
            match *event {
                Event::Joined(node) => self.on_joined(topology, node),
                Event::Changed(node) => self.on_changed(topology, node),
                Event::LinkFailed { a, b } => self.on_link_failed(a, b, context.now, &mut also),
                Event::Rejected { .. } => also.extend(topology.iter().map(|(node, _)| node).skip(1)),
                Event::Tick => self.on_tick(topology, context.now),
                _ => {}
            }
        }
        self.tree.seat_waiting();
        also.extend(events.iter().filter_map(|event| match event {
            Event::Joined(node) | Event::Changed(node) => Some(*node),
            _ => None,
        }));
        self.plan(topology, also, plan);
    }

    fn explain(&self, node: NodeId) -> Option<String> {
        match self.tree.place_of(node) {
            Some(place) => Some(place.to_string()),
            None => self.tree.is_waiting(node).then(|| "waiting for a place".to_owned()),
        }
    }
}

fn occupant(node: NodeId, member: &Member) -> Occupant {
    let weak = !member.relay || member.capacity < FAN_OUT;
    Occupant { node, joined_at: member.joined_at, weak }
}

/// Whether a place is in the subtree of another one.
fn is_below(place: Place, root: Place) -> bool {
    std::iter::successors(Some(place), |place| place.parent()).any(|above| above == root)
}
