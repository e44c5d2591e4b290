//! What the dumbbell promises, whatever joins, leaves, and changes its mind.

use std::collections::BTreeMap;

use peerstream_dumbbell::{Dumbbell, Place};
use peerstream_sdk::overlay::{Context, Event, Member, Plan, Topology, TreeStrategy};
use peerstream_sdk::protocol::id::NodeId;
use peerstream_sdk::protocol::time::Micros;
use proptest::prelude::*;

const S: NodeId = NodeId::SOURCE;

struct World {
    topology: Topology,
    strategy: Dumbbell,
    now: Micros,
    next: u64,
}

impl World {
    fn new() -> Self {
        Self { topology: Topology::new(2), strategy: Dumbbell::default(), now: Micros(0), next: 1 }
    }

    fn of(nodes: usize) -> Self {
        let mut world = Self::new();
        for _ in 0..nodes {
            world.join(true);
        }
        world
    }

    fn tell(&mut self, events: &[Event]) {
        self.now += Micros::from_millis(10);
        let mut plan = Plan::default();
        let context = Context { topology: &self.topology, now: self.now, source: NodeId::SOURCE };
        self.strategy.on_events(&context, events, &mut plan);
        for group in plan.groups() {
            self.topology.commit(group).unwrap_or_else(|reject| panic!("{reject}: {events:?} {group:?}"));
        }
    }

    fn join(&mut self, relay: bool) -> NodeId {
        let node = NodeId(self.next);
        self.next += 1;
        self.topology.insert(node, Member::new(2, relay, self.now)).unwrap();
        self.tell(&[Event::Joined(node)]);
        node
    }

    fn leave(&mut self, nodes: &[NodeId]) {
        let gone: Vec<_> = nodes.iter().filter(|node| self.topology.remove(**node).is_some()).collect();
        let events: Vec<_> = gone.into_iter().map(|node| Event::Left(*node)).collect();
        self.tell(&events);
    }

    fn relay(&mut self, node: NodeId, relay: bool) {
        self.topology.set_ability(node, 2, relay);
        self.tell(&[Event::Changed(node)]);
    }

    fn nodes(&self) -> Vec<NodeId> {
        self.topology.iter().map(|(node, _)| node).filter(|node| *node != NodeId::SOURCE).collect()
    }

    fn pick(&self, which: usize) -> Option<NodeId> {
        let nodes = self.nodes();
        (!nodes.is_empty()).then(|| nodes[which % nodes.len()])
    }

    fn at(&self, place: &str) -> NodeId {
        let found = self.nodes().into_iter().find(|node| self.strategy.place(*node).as_deref() == Some(place));
        found.unwrap_or_else(|| panic!("nobody at {place}"))
    }

    fn parent(&self, node: NodeId) -> Option<NodeId> {
        self.topology.get(node).unwrap().parent()
    }

    fn backup(&self, node: NodeId) -> Option<NodeId> {
        self.topology.get(node).unwrap().backup()
    }

    fn depth_max(&self) -> u32 {
        self.nodes().iter().filter_map(|node| self.topology.depth(*node)).max().unwrap_or(0)
    }

    /// Checks everything that must hold at any time.
    fn check(&self) {
        let places: BTreeMap<Place, NodeId> =
            self.nodes().into_iter().filter_map(|node| Some((self.strategy.place_of(node)?, node))).collect();
        let weak = self.nodes().iter().filter(|node| !self.topology.get(**node).unwrap().relay).count();
        let strong = self.topology.len() - weak;
        let seats = places.len();
        assert_eq!(seats, self.topology.len().min(2 + strong * 2), "everyone has a place while there is one");
        for (place, node) in &places {
            self.check_node(&places, *place, *node);
        }
        for node in self.nodes().iter().filter(|node| self.strategy.place_of(**node).is_none()) {
            let member = self.topology.get(*node).unwrap();
            assert_eq!((member.parent(), member.backup(), member.children().len()), (None, None, 0));
        }
    }

    fn check_node(&self, places: &BTreeMap<Place, NodeId>, place: Place, node: NodeId) {
        let member = self.topology.get(node).unwrap();
        let forest = self.strategy.forest();
        let parent = forest.parent(place).map_or(Some(NodeId::SOURCE), |above| places.get(&above).copied());
        assert_eq!(member.parent(), parent, "{node} at {place} is fed by whoever is above it");
        assert!(parent.is_some(), "{place} hangs in the air");
        assert_eq!(self.topology.depth(node), Some(forest.level(place) + 1));
        let can = if member.relay { 2 } else { 0 };
        assert!(member.children().len() <= can, "{node} at {place} feeds too many");
        assert!(member.children().len() + member.backs().len() <= can + usize::from(member.relay));
        let twin = places.get(&place.twin()).copied();
        if let Some(twin) = twin.filter(|twin| self.topology.get(*twin).unwrap().relay) {
            assert_eq!(member.backup(), Some(twin), "{node} at {place} is backed up by its twin");
        } else if let Some(backup) = member.backup() {
            let above = self.strategy.place_of(backup).unwrap();
            assert!(
                forest.across(place).any(|across| across == above),
                "{backup} at {above} backs up {node} at {place}"
            );
        }
        let above = forest.parent(place);
        let grandparent =
            above.and_then(|above| forest.parent(above).map_or(Some(S), |above| places.get(&above).copied()));
        assert_eq!(grandparent.iter().find(|standby| !member.standby().contains(standby)), None);
        for helper in member.standby().iter().filter(|standby| Some(**standby) != grandparent) {
            self.check_helper(place, member, *helper);
        }
    }

    fn check_helper(&self, place: Place, member: &Member, helper: NodeId) {
        let forest = self.strategy.forest();
        let of = self.strategy.place_of(helper).unwrap();
        let helper = self.topology.get(helper).unwrap();
        assert!(helper.relay && helper.stands_by_for().len() <= 4 + 3);
        assert!(
            !forest.is_below(of, place) && !forest.is_below(place, of),
            "{of} is no other part of the trees for {place}"
        );
        assert!(helper.joined_at <= member.joined_at);
    }

    fn inversions(&self) -> usize {
        let older = |node: &NodeId| {
            let parent = self.parent(*node).filter(|parent| *parent != NodeId::SOURCE);
            parent.is_some_and(|parent| {
                self.topology.get(*node).unwrap().joined_at < self.topology.get(parent).unwrap().joined_at
            })
        };
        self.nodes().iter().filter(|node| older(node)).count()
    }

    /// Lets compaction finish.
    fn rest(&mut self) {
        (0..200).for_each(|_| self.tell(&[Event::Tick]));
    }
}

/// Hops to the deepest node of a perfectly balanced pair of trees.
fn optimum(nodes: usize) -> u32 {
    (nodes as u64).div_ceil(2).checked_ilog2().map_or(0, |level| level + 1)
}

#[derive(Clone, Debug)]
enum Step {
    Join(bool),
    Leave(Vec<usize>),
    Relay(usize, bool),
    Fail(usize, usize),
    Tick,
}

fn step(weak: bool) -> impl Strategy<Value = Step> {
    let changes = u32::from(weak) * 2;
    prop_oneof![
        8 => any::<u8>().prop_map(move |n| Step::Join(!weak || n % 4 != 0)),
        4 => proptest::collection::vec(any::<usize>(), 1..4).prop_map(Step::Leave),
        1 => Just(Step::Tick),
        changes => (any::<usize>(), any::<bool>()).prop_map(|(which, relay)| Step::Relay(which, relay)),
        changes / 2 => (any::<usize>(), any::<usize>()).prop_map(|(a, b)| Step::Fail(a, b)),
    ]
}

fn take(world: &mut World, step: Step) {
    match step {
        Step::Join(relay) => {
            world.join(relay);
        }
        Step::Leave(which) => {
            let nodes: Vec<_> = which.into_iter().filter_map(|which| world.pick(which)).collect();
            world.leave(&nodes);
        }
        Step::Relay(which, relay) => {
            if let Some(node) = world.pick(which) {
                world.relay(node, relay);
            }
        }
        Step::Fail(a, b) => {
            if let (Some(a), Some(b)) = (world.pick(a), world.pick(b)) {
                world.tell(&[Event::LinkFailed { a, b }]);
            }
        }
        Step::Tick => world.tell(&[Event::Tick]),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn strong_nodes_stay_in_two_balanced_trees_with_the_old_above_the_young(
        steps in proptest::collection::vec(step(false), 1..150)
    ) {
        let mut world = World::new();
        for step in steps {
            take(&mut world, step);
            world.check();
        }
        world.rest();
        world.check();
        prop_assert!(world.depth_max() <= optimum(world.topology.len()) + 1);
        prop_assert!(world.inversions() as u64 <= world.strategy.counters().inversions);
    }

    #[test]
    fn without_compaction_no_child_is_ever_older_than_its_parent(
        steps in proptest::collection::vec(step(false), 1..150)
    ) {
        let mut world = World::new();
        for step in steps.into_iter().filter(|step| !matches!(step, Step::Tick)) {
            take(&mut world, step);
            prop_assert_eq!(world.inversions(), 0);
        }
    }

    #[test]
    fn with_weak_nodes_and_failing_pairs_the_trees_keep_their_shape(
        steps in proptest::collection::vec(step(true), 1..150)
    ) {
        let mut world = World::new();
        for step in steps {
            take(&mut world, step);
            // A failed pair may keep two of a dumbbell from backing each other up.
            world.topology.iter().for_each(|(node, _)| assert!(world.topology.depth(node).is_some() || world.strategy.place_of(node).is_none()));
        }
        world.rest();
        let mut fresh = Dumbbell::default();
        let mut plan = Plan::default();
        fresh.attach(&Context { topology: &world.topology, now: world.now, source: NodeId::SOURCE }, &mut plan);
        for group in plan.groups() {
            world.topology.commit(group).unwrap();
        }
        world.strategy = fresh;
        world.check();
    }

    #[test]
    fn weak_nodes_are_leaves_whatever_happens(steps in proptest::collection::vec(step(true), 1..150)) {
        let mut world = World::new();
        for step in steps.into_iter().filter(|step| !matches!(step, Step::Fail(..))) {
            take(&mut world, step);
            world.check();
        }
    }
}

#[test]
fn places_fill_level_by_level_and_twins_come_one_after_the_other() {
    let world = World::of(8);
    let places: Vec<_> = world.nodes().iter().map(|node| world.strategy.place(*node).unwrap()).collect();
    assert_eq!(places, ["A1", "B1", "A2", "B2", "A3", "B3", "A4", "B4"]);
}

#[test]
fn the_older_child_moves_up_and_leaves_a_hole_for_the_next_newcomer() {
    let mut world = World::of(14);
    let (a2, a3, a4) = (world.at("A2"), world.at("A3"), world.at("A4"));
    let a5 = world.at("A5");
    world.leave(&[world.at("A1")]);
    assert_eq!((world.at("A1"), world.at("A2")), (a2, a4));
    assert_eq!([a3, a4].map(|node| world.parent(node)), [Some(a2); 2]);
    assert_eq!(world.parent(a5), Some(a4));
    let newcomer = world.join(true);
    assert_eq!(world.at("A4"), newcomer);
}

#[test]
fn a_node_without_a_twin_is_backed_up_from_above_across() {
    let world = World::of(3);
    assert_eq!(world.backup(world.at("A2")), Some(world.at("B1")));
    assert_eq!(world.backup(world.at("A1")), Some(world.at("B1")));
}

#[test]
fn a_newcomer_that_relays_takes_the_place_of_a_weak_node_that_blocks() {
    let mut world = World::new();
    let weak = [world.join(false), world.join(false)];
    let waits = world.join(false);
    assert_eq!(world.parent(waits), None);
    let strong = world.join(true);
    assert_eq!(world.at("A1"), strong);
    assert_eq!(world.parent(weak[0]), Some(strong));
    assert_eq!(world.parent(waits), Some(strong));
    world.check();
}

#[test]
fn a_node_that_stops_relaying_becomes_a_leaf() {
    let mut world = World::of(14);
    let (a1, a2) = (world.at("A1"), world.at("A2"));
    world.relay(a1, false);
    assert_eq!(world.at("A1"), a2);
    assert!(world.topology.get(a1).unwrap().children().is_empty());
    world.check();
}

#[test]
fn a_child_that_cannot_reach_its_parent_gets_another_one() {
    let mut world = World::of(20);
    let child = world.at("A9");
    let parent = world.parent(child).unwrap();
    world.tell(&[Event::LinkFailed { a: child, b: parent }]);
    assert_ne!(world.parent(child), Some(parent));
    assert!(world.topology.depth(child).is_some());
}

#[test]
fn a_shrunken_audience_is_moved_up_a_few_at_a_time() {
    let mut world = World::of(200);
    let every_third: Vec<_> = world.nodes().into_iter().filter(|node| node.0 % 3 != 0).collect();
    world.leave(&every_third);
    world.rest();
    world.check();
    assert!(world.depth_max() <= optimum(world.topology.len()) + 1, "{}", world.depth_max());
}

#[test]
fn a_departure_moves_few_nodes() {
    let mut world = World::of(2_000);
    let mut chance = 7_u64;
    for _ in 0..4_000 {
        chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let node = world.pick((chance >> 33) as usize).unwrap();
        world.leave(&[node]);
        world.join(true);
    }
    world.check();
    let moves = world.strategy.counters().moves as f64 / 4_000.0;
    assert!(moves < 1.3, "{moves} moves per departure with ages that say nothing");
    assert_eq!(world.inversions(), 0);
}

#[test]
fn a_strategy_that_takes_over_its_own_overlay_changes_nothing() {
    let mut world = World::of(100);
    let some: Vec<_> = world.nodes().into_iter().filter(|node| node.0 % 7 == 0).collect();
    world.leave(&some);
    let mut fresh = Dumbbell::default();
    let mut plan = Plan::default();
    fresh.attach(&Context { topology: &world.topology, now: world.now, source: NodeId::SOURCE }, &mut plan);
    let ops: usize = plan.groups().iter().map(|group| group.ops().len()).sum();
    assert!(ops <= 30, "{ops} of {} edges changed", world.topology.len() * 3);
    plan.groups().iter().for_each(|group| world.topology.commit(group).unwrap());
    world.strategy = fresh;
    world.check();
}

#[test]
fn a_rejected_plan_is_made_good() {
    let mut world = World::of(10);
    let lost = NodeId(5);
    let member = world.topology.get(lost).unwrap().clone();
    world.topology.remove(lost);
    world.topology.insert(lost, member).unwrap();
    assert_eq!(world.parent(lost), None);
    let reason = peerstream_sdk::overlay::Reject::Cycle(lost);
    world.tell(&[Event::Rejected { group: 0, reason }]);
    assert!(world.parent(lost).is_some());
}
