//! An overlay without a network, and what its shape is like.

use std::collections::{BTreeMap, BTreeSet};

use peerstream_sdk::overlay::{Context, Event, Member, Op, Plan, Topology, TreeStrategy};
use peerstream_sdk::protocol::id::{NodeId, Stripes};
use peerstream_sdk::protocol::time::Micros;
use peerstream_striped::Striped;

pub const S: NodeId = NodeId::SOURCE;

pub struct World {
    pub topology: Topology,
    pub strategy: Striped,
    pub now: Micros,
    /// Parents given to somebody so far.
    pub edges_set: usize,
    last: u64,
}

impl World {
    pub fn of(viewers: usize) -> Self {
        let mut world = Self::taking_over(Topology::new(2));
        (0..viewers).for_each(|_| _ = world.join(true));
        world
    }

    /// A running overlay that the strategy takes over.
    pub fn taking_over(topology: Topology) -> Self {
        let last = topology.iter().map(|(node, _)| node.0).max().unwrap_or(0);
        let now = Micros::from_secs(1_000_000);
        let mut world = Self { topology, strategy: Striped::default(), now, edges_set: 0, last };
        let mut plan = Plan::default();
        let context = Context { topology: &world.topology, now, source: S };
        world.strategy.attach(&context, &mut plan);
        world.commit(&plan, &[]);
        world
    }

    pub fn tell(&mut self, events: &[Event]) {
        self.now += Micros::from_millis(10);
        let mut plan = Plan::default();
        let context = Context { topology: &self.topology, now: self.now, source: S };
        self.strategy.on_events(&context, events, &mut plan);
        self.commit(&plan, events);
    }

    fn commit(&mut self, plan: &Plan, events: &[Event]) {
        for group in plan.groups() {
            self.edges_set += group.ops().iter().filter(|op| matches!(op, Op::SetParent { .. })).count();
            self.topology.commit(group).unwrap_or_else(|reject| panic!("{reject}: {events:?} {group:?}"));
        }
    }

    pub fn join(&mut self, relay: bool) -> NodeId {
        self.last += 1;
        let node = NodeId(self.last);
        self.join_as(node, Member::new(2, relay, self.now));
        node
    }

    pub fn join_as(&mut self, node: NodeId, member: Member) {
        self.topology.insert(node, member).unwrap();
        self.tell(&[Event::Joined(node)]);
    }

    pub fn leave(&mut self, nodes: &[NodeId]) {
        nodes.iter().for_each(|node| _ = self.topology.remove(*node));
        let events: Vec<_> = nodes.iter().map(|node| Event::Left(*node)).collect();
        self.tell(&events);
    }

    pub fn change(&mut self, nodes: &[NodeId], capacity: u8, relay: bool) {
        nodes.iter().for_each(|node| self.topology.set_ability(*node, capacity, relay));
        let events: Vec<_> = nodes.iter().map(|node| Event::Changed(*node)).collect();
        self.tell(&events);
    }

    /// Seconds in which nobody comes or goes.
    pub fn rest(&mut self, seconds: usize) {
        for _ in 0..seconds {
            self.now += Micros::from_secs(1);
            self.tell(&[Event::Tick]);
        }
    }

    pub fn nodes(&self) -> Vec<NodeId> {
        self.topology.iter().map(|(node, _)| node).filter(|node| *node != S).collect()
    }

    pub fn member(&self, node: NodeId) -> &Member {
        self.topology.get(node).unwrap()
    }

    /// The stripes that a node feeds to others.
    pub fn feeds(&self, node: NodeId) -> Stripes {
        self.member(node).children().iter().fold(Stripes::NONE, |all, (_, stripes)| all.with(*stripes))
    }

    pub fn shape(&self) -> Shape {
        shape(self)
    }
}

/// What the trees are like.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Shape {
    pub viewers: usize,
    /// Viewers that lack one half at least.
    pub unreached: usize,
    /// Viewers that feed both halves.
    pub feed_both: usize,
    /// The share of those that feed more than two others.
    pub over_two: f64,
    /// The share of those with a helper for each half that relays and is neither the parent nor below them.
    pub helped: f64,
    /// Hops from the source to the last viewer, and the least there could be.
    pub depth: u32,
    pub depth_least: u32,
    /// The longest list of those that keep a link to one node.
    pub clients: usize,
}

fn shape(world: &World) -> Shape {
    let nodes = world.nodes();
    let ways = Stripes::each().map(|stripe| Ways::of(world, stripe)).collect::<Vec<_>>();
    let share = |holds: &dyn Fn(NodeId) -> bool| {
        nodes.iter().filter(|node| holds(**node)).count() as f64 / nodes.len().max(1) as f64
    };
    Shape {
        viewers: nodes.len(),
        unreached: nodes.iter().filter(|node| ways.iter().any(|ways| !ways.depths.contains_key(node))).count(),
        feed_both: nodes.iter().filter(|node| world.feeds(**node) == Stripes::ALL).count(),
        over_two: share(&|node| edges(world, node) > 2),
        helped: share(&|node| ways.iter().all(|ways| ways.is_helped(world, node))),
        depth: ways.iter().flat_map(|ways| ways.depths.values()).copied().max().unwrap_or(0),
        depth_least: nodes.len().checked_ilog2().map_or(0, |level| level + 1),
        clients: world.topology.iter().map(|(_, member)| member.stands_by_for().len()).max().unwrap_or(0),
    }
}

/// Edges of one stripe to children.
fn edges(world: &World, node: NodeId) -> usize {
    world.member(node).children().iter().map(|(_, stripes)| stripes.count()).sum()
}

/// One stripe's tree.
struct Ways {
    stripe: Stripes,
    depths: BTreeMap<NodeId, u32>,
}

impl Ways {
    fn of(world: &World, stripe: Stripes) -> Self {
        let mut depths = BTreeMap::from([(S, 0)]);
        let mut todo = vec![S];
        while let Some(node) = todo.pop() {
            let depth = depths[&node] + 1;
            for (child, _) in world.member(node).children().iter().filter(|(_, fed)| fed.meets(stripe)) {
                depths.insert(*child, depth);
                todo.push(*child);
            }
        }
        Self { stripe, depths }
    }

    fn is_helped(&self, world: &World, node: NodeId) -> bool {
        let member = world.member(node);
        let above = |of: NodeId| std::iter::successors(Some(of), |at| world.member(*at).parent_of(self.stripe));
        let helps = |helper: &&NodeId| {
            let apart = Some(**helper) != member.parent_of(self.stripe) && above(**helper).all(|above| above != node);
            apart && world.member(**helper).relay
        };
        member.standby().iter().any(|helper| helps(&helper))
    }
}

/// Whoever is fed by one that cannot, or more than it can, and helpers that cannot help.
pub fn faults(world: &World) -> Vec<String> {
    let mut faults = Vec::new();
    for node in world.nodes() {
        let member = world.member(node);
        if edges(world, node) > member.room() * usize::from(Stripes::COUNT) {
            faults.push(format!("{node} feeds more than it can: {member:?}"));
        }
        if member.backup().is_some() {
            faults.push(format!("{node} has a backup"));
        }
        let helpers: BTreeSet<_> = member.standby().iter().filter(|helper| !world.member(**helper).relay).collect();
        if !helpers.is_empty() {
            faults.push(format!("{node} would ask {helpers:?}, who cannot help"));
        }
    }
    faults
}
