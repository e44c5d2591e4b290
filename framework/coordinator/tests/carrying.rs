//! From plan to links: what must hold while target edges are carried out, whatever happens to the messages.

mod world;

use std::collections::BTreeSet;

use peerstream_overlay::{Context, Event, Group, Plan, Topology, TreeStrategy};
use peerstream_protocol::control::When;
use peerstream_protocol::id::{NodeId, Stripes};
use proptest::prelude::*;
use world::{Weather, World, config};

const S: NodeId = NodeId::SOURCE;

/// A chain of nodes below the source.
fn chain(world: &mut World, length: usize) -> Vec<NodeId> {
    let nodes: Vec<_> = (0..length).map(|_| world.join()).collect();
    let parents = std::iter::once(S).chain(nodes.iter().copied());
    let edges: Vec<_> = nodes.iter().copied().zip(parents).collect();
    world.place(&edges);
    world.check_delivered();
    nodes
}

#[test]
fn a_newcomer_is_fed_as_planned() {
    let mut world = World::new();
    chain(&mut world, 3);
}

#[test]
fn an_edge_that_could_close_a_cycle_waits_until_the_late_order_has_arrived() {
    let mut world = World::new();
    let (p, q, x) = (world.join(), world.join(), world.join());
    world.place(&[(p, S), (q, S), (x, p)]);
    world.check_delivered();
    // P is told to go below Q, but Q does not hear of it, so P stays where it is for the moment.
    world.hold(q);
    world.place(&[(p, q)]);
    assert_eq!(world.feeders(p), [S]);
    // The plan changes: P stays at S, and Q goes below P's child X. P's newer order is late.
    world.hold(p);
    world.place(&[(p, S), (q, x)]);
    world.let_go(q);
    world.run(3_000);
    assert!(world.has_data(p) && world.has_data(q) && world.has_data(x));
    world.let_go(p);
    world.run(2_000);
    world.check_delivered();
}

#[test]
fn a_parent_and_its_child_change_places_without_a_gap() {
    let mut world = World::new();
    let nodes = chain(&mut world, 4);
    let (a2, a4) = (nodes[1], nodes[2]);
    world.place(&[(a4, nodes[0]), (a2, a4), (nodes[3], a2)]);
    for _ in 0..100 {
        world.step();
        assert!(nodes.iter().all(|node| world.has_data(*node)));
    }
    world.check_delivered();
    assert!(world.torn.is_empty());
}

#[test]
fn two_pairs_below_a_full_parent_change_places() {
    let mut world = World::new();
    let [p, a, b, c, d] = std::array::from_fn(|_| world.join());
    world.place(&[(p, S), (a, p), (b, p), (c, a), (d, b)]);
    world.place(&[(c, p), (d, p), (a, c), (b, d)]);
    world.run(1_000);
    world.check_delivered();
    assert!(world.torn.is_empty());
}

/// The older child moves up three times, and one of the movers dies in the middle of it.
fn cascade_with_a_death(dies: Option<usize>, after_ms: u64) {
    let mut world = World::new();
    let [a1, a2, a3, a4, a5, a8, a9] = std::array::from_fn(|_| world.join());
    world.place(&[(a1, S), (a2, a1), (a3, a1), (a4, a2), (a5, a2), (a8, a4), (a9, a4)]);
    world.check_delivered();
    world.crash(a2);
    world.run(700);
    let mut group = Group::default();
    for (node, parent) in [(a4, a1), (a8, a4), (a5, a4), (a9, a8)] {
        group.set_parent(node, Stripes::ALL, parent);
    }
    world.script.push(group);
    world.run(after_ms);
    let movers = [a4, a8, a9];
    if let Some(dead) = dies.map(|which| movers[which]) {
        world.crash(dead);
        world.run(1_500);
        let alive = [a4, a5, a8, a9].into_iter().filter(|node| *node != dead);
        let edges: Vec<_> = alive.zip([a1, a1, a3, a3]).filter(|(node, _)| *node != a3).collect();
        let edges: Vec<_> =
            edges.into_iter().map(|(node, parent)| (node, if node == a5 { a3 } else { parent })).collect();
        let mut room = std::collections::BTreeMap::from([(a1, 1), (a3, 2), (a5, 2)]);
        let edges = edges.into_iter().map(|(node, wish)| {
            let parent = [wish, a1, a3, a5]
                .into_iter()
                .find(|p| *p != node && room.get(p).is_some_and(|left| *left > 0))
                .unwrap();
            *room.get_mut(&parent).unwrap() -= 1;
            (node, parent)
        });
        let edges: Vec<_> = edges.collect();
        world.place(&edges);
    }
    world.run(3_000);
    world.check_delivered();
}

#[test]
fn a_cascade_of_three_moves_survives_a_death_at_any_step() {
    cascade_with_a_death(None, 1_000);
    for dies in 0..3 {
        for after_ms in [900, 1_010, 1_020, 1_030, 1_050, 1_100, 1_200] {
            cascade_with_a_death(Some(dies), after_ms);
        }
    }
}

#[test]
fn a_release_that_overtakes_its_assignment_does_no_harm() {
    let mut world = World::new();
    let [p, q, a, b, c] = std::array::from_fn(|_| world.join());
    world.place(&[(p, S), (q, S), (a, p), (b, p), (c, q)]);
    // C comes to P and A goes to Q; A releases P before P hears of C.
    world.hold(p);
    world.place(&[(c, p), (a, q)]);
    assert_eq!(world.feeders(a), [q]);
    assert_eq!(world.feeders(c), [q]);
    world.let_go(p);
    world.run(1_000);
    world.check_delivered();
    assert!(world.torn.is_empty());
}

#[test]
fn an_old_parent_feeds_on_until_the_new_one_does() {
    let mut world = World::new();
    let [p, q, a] = std::array::from_fn(|_| world.join());
    world.place(&[(p, S), (q, S), (a, p)]);
    world.hold(q);
    world.place(&[(a, q)]);
    world.run(10_000);
    assert_eq!(world.feeders(a), [p], "Q knows nothing of A yet");
    world.let_go(q);
    world.run(1_000);
    world.check_delivered();
}

#[test]
fn a_child_that_never_confirms_is_released_two_seconds_later_and_counted() {
    let mut world = World::new();
    let [p, q, a] = std::array::from_fn(|_| world.join());
    world.place(&[(p, S), (q, S), (a, p)]);
    world.nodes.get_mut(&a).unwrap().mute = true;
    world.place(&[(a, q)]);
    let lists = |world: &World| world.nodes[&p].assignment.children.iter().any(|edge| edge.peer == a);
    assert!(lists(&world), "not released at once");
    world.run(2_500);
    assert!(!lists(&world), "released in the end");
    assert_eq!(world.coordinator.counters().releases_enforced, 1);
    assert_eq!(world.shown(a).unwrap().releases_enforced, 1);
}

#[test]
fn a_child_beyond_the_spare_copy_waits_for_one_that_leaves() {
    let mut world = World::new();
    let [p, q, a, b, c, d] = std::array::from_fn(|_| world.join());
    world.place(&[(p, S), (q, S), (a, p), (b, p), (c, q), (d, q)]);
    world.hold(a);
    world.hold(b);
    world.place(&[(a, q), (b, q), (c, p), (d, p)]);
    let whens: Vec<_> = world.nodes[&p].assignment.children.iter().map(|edge| edge.when).collect();
    assert_eq!(whens.iter().filter(|when| **when == When::Now).count(), 2, "{whens:?}");
    world.let_go(a);
    world.let_go(b);
    world.run(1_500);
    world.check_delivered();
    assert!(world.torn.is_empty());
}

#[test]
fn a_node_that_comes_back_gets_its_newest_assignment_at_once() {
    let mut world = World::new();
    let nodes = chain(&mut world, 3);
    world.cut(nodes[2]);
    world.place(&[(nodes[2], nodes[0])]);
    assert_eq!(world.feeders(nodes[2]), [nodes[1]]);
    assert_eq!(world.resume(nodes[2]), Some(nodes[2]));
    world.run(200);
    world.check_delivered();
}

#[test]
fn a_node_whose_new_parent_is_away_is_carried_by_its_backup() {
    let mut world = World::new();
    let [p, q, r, a] = std::array::from_fn(|_| world.join());
    world.place(&[(p, S), (q, S), (r, p), (a, r)]);
    world.plan(|group| {
        group.set_backup(a, Some(q));
    });
    world.cut(p);
    world.crash(r);
    world.run(600);
    world.place(&[(a, p)]);
    world.run(1_500);
    assert_eq!(world.feeders(a), [q]);
    assert_eq!(world.coordinator.counters().carried, 1);
    world.resume(p);
    world.run(500);
    world.check_delivered();
}

#[test]
fn a_lost_assignment_is_sent_again() {
    let mut world = World::new();
    let nodes = chain(&mut world, 2);
    world.weather = Weather { lost: 100, ..Weather::default() };
    world.place(&[(nodes[1], S)]);
    world.weather = Weather::default();
    world.run(2_500);
    world.check_delivered();
    assert!(world.coordinator.counters().assignments_repeated > 0);
}

/// Makes random valid plans: moves, exchanges of neighbours, rotations.
struct Restless {
    chance: u64,
    stop: std::sync::Arc<std::sync::atomic::AtomicBool>,
}

impl Restless {
    fn roll(&mut self, below: usize) -> usize {
        self.chance = self.chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.chance >> 33) as usize % below.max(1)
    }

    fn anchor(&mut self, scratch: &Topology, node: NodeId) -> Option<Group> {
        let all: Vec<_> = scratch.iter().map(|(id, _)| id).collect();
        let from = self.roll(all.len());
        let mut trial = scratch.clone();
        (0..all.len()).map(|i| all[(from + i) % all.len()]).find_map(|parent| {
            let mut group = Group::default();
            group.set_parent(node, Stripes::ALL, parent);
            (scratch.depth(parent).is_some() && trial.commit(&group).is_ok()).then_some(group)
        })
    }

    /// A node, its parent and the parent's parent turn around: the node goes up, the parent below it.
    fn turn(&mut self, scratch: &Topology) -> Option<Group> {
        let all: Vec<_> = scratch.iter().map(|(id, _)| id).filter(|id| *id != S).collect();
        let node = *all.get(self.roll(all.len()))?;
        let parent = scratch.get(node)?.parent().filter(|parent| *parent != S)?;
        let above = scratch.get(parent)?.parent()?;
        let mut group = Group::default();
        group.set_parent(node, Stripes::ALL, above).set_parent(parent, Stripes::ALL, node);
        for (child, _) in scratch.get(node)?.children().iter().take(1) {
            group.set_parent(*child, Stripes::ALL, parent);
        }
        Some(group)
    }
}

impl TreeStrategy for Restless {
    fn attach(&mut self, _: &Context<'_>, _: &mut Plan) {}
    fn on_events(&mut self, context: &Context<'_>, _: &[Event], plan: &mut Plan) {
        let mut scratch = context.topology.clone();
        let orphans: Vec<_> =
            scratch.iter().filter(|(id, member)| *id != S && member.parent().is_none()).map(|(id, _)| id).collect();
        for orphan in orphans {
            if let Some(group) = self.anchor(&scratch, orphan).filter(|group| scratch.commit(group).is_ok()) {
                plan.push(group);
            }
        }
        if self.stop.load(std::sync::atomic::Ordering::Relaxed) {
            return;
        }
        for _ in 0..3 {
            let all: Vec<_> = scratch.iter().map(|(id, _)| id).filter(|id| *id != S).collect();
            let group = if self.roll(2) == 0 || all.is_empty() {
                self.turn(&scratch)
            } else {
                let node = all[self.roll(all.len())];
                self.anchor(&scratch, node)
            };
            if let Some(group) = group.filter(|group| scratch.commit(group).is_ok()) {
                plan.push(group);
            }
        }
    }
}

#[derive(Clone, Debug)]
enum Trouble {
    Join,
    Crash(usize),
    Leave(usize),
    Cut(usize),
    Resume,
    Nothing,
}

fn trouble() -> impl Strategy<Value = Trouble> {
    prop_oneof![
        3 => Just(Trouble::Join),
        1 => any::<usize>().prop_map(Trouble::Crash),
        1 => any::<usize>().prop_map(Trouble::Leave),
        1 => any::<usize>().prop_map(Trouble::Cut),
        2 => Just(Trouble::Resume),
        3 => Just(Trouble::Nothing),
    ]
}

fn viewers(world: &World) -> Vec<NodeId> {
    world.nodes.keys().copied().filter(|node| *node != S).collect()
}

fn crowd(world: &mut World, nodes: usize) {
    for _ in 0..nodes {
        world.join();
    }
}

fn make(world: &mut World, trouble: Trouble) {
    let nodes = viewers(world);
    let pick = |which: usize| nodes.get(which % nodes.len().max(1)).copied();
    match trouble {
        Trouble::Join => crowd(world, 1),
        Trouble::Crash(which) => pick(which).into_iter().for_each(|node| world.crash(node)),
        Trouble::Leave(which) => {
            if let Some(node) = pick(which).filter(|node| world.nodes[node].conn.is_some()) {
                world.tell(node, &peerstream_protocol::control::Up::Leave);
                world.kill(node);
            }
        }
        Trouble::Cut(which) => pick(which).into_iter().for_each(|node| world.cut(node)),
        Trouble::Resume => resume_all(world),
        Trouble::Nothing => {}
    }
}

fn resume_all(world: &mut World) {
    for node in viewers(world).into_iter().filter(|node| world.nodes[node].conn.is_none()).collect::<Vec<_>>() {
        if world.resume(node) != Some(node) {
            // Taken for dead: it starts again under its new name.
            world.kill(node);
        }
    }
}

/// A few by default; `PROPTEST_CASES` asks for more.
fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(12)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_weather_on_the_control_channel_breaks_a_tree(
        seed in any::<u64>(),
        lost in 0_u64..40,
        doubled in 0_u64..30,
        delay_ms in 0_u64..1_500,
        troubles in proptest::collection::vec(trouble(), 1..30),
    ) {
        let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
        let strategy = Restless { chance: seed, stop: stop.clone() };
        let mut world = World::with(config(), seed, Some(Box::new(strategy)));
        crowd(&mut world, 8);
        world.weather = Weather { lost, doubled, delay_ms };
        for trouble in troubles {
            make(&mut world, trouble);
            world.run(400);
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        world.weather = Weather::default();
        resume_all(&mut world);
        world.run(8_000);
        resume_all(&mut world);
        world.run(40_000);
        let shown: BTreeSet<_> = world.coordinator.overview().nodes.iter().map(|node| node.id).collect();
        prop_assert_eq!(shown, world.nodes.keys().copied().collect::<BTreeSet<_>>());
        world.check_delivered();
    }

    #[test]
    fn without_deaths_nobody_is_let_go_before_somebody_else_feeds_it(
        seed in any::<u64>(),
        lost in 0_u64..40,
        delay_ms in 0_u64..1_000,
        seconds in 5_u64..20,
    ) {
        let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
        let strategy = Restless { chance: seed, stop: stop.clone() };
        let mut world = World::with(config(), seed, Some(Box::new(strategy)));
        crowd(&mut world, 12);
        world.run(3_000);
        world.weather = Weather { lost, doubled: 10, delay_ms };
        world.run(seconds * 1_000);
        let enforced = world.coordinator.counters().releases_enforced as usize;
        prop_assert!(world.torn.len() <= enforced, "{:?}", world.torn);
        for node in viewers(&world) {
            prop_assert!(world.has_data(node), "{node}");
        }
    }
}
